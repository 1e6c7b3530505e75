//! What is used of libuv, looked up in the process: runtimes other than Node have Node-API without it.

use std::ffi::{CStr, c_int, c_uint, c_void};
use std::sync::OnceLock;

pub type Handle = *mut c_void;
pub type Loop = *mut c_void;

/// Values of `uv_handle_type`, in the order of UV_HANDLE_TYPE_MAP, which is part of libuv 1's ABI.
pub const POLL: c_int = 8;
pub const PREPARE: c_int = 9;
pub const TIMER: c_int = 13;

pub const READABLE: c_int = 1;

type HandleCallback = unsafe extern "C" fn(Handle);

macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) -> $result:ty;)*) => {
        pub struct Uv { $(pub $name: unsafe extern "C" fn($($argument),*) -> $result,)* }

        impl Uv {
            fn find() -> Option<Self> {
                Some(Self { $($name: {
                    let symbol = concat!("uv_", stringify!($name), "\0");
                    let symbol = CStr::from_bytes_with_nul(symbol.as_bytes()).ok()?;
                    // SAFETY: a look-up by name, which is a C string.
                    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, symbol.as_ptr()) };
                    if found.is_null() {
                        return None;
                    }
                    // SAFETY: the function of this name has this type in libuv 1.
                    unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) -> $result>(found) }
                },)* })
            }
        }
    };
}

functions! {
    handle_size: fn(c_int) -> usize;
    handle_set_data: fn(Handle, *mut c_void) -> ();
    handle_get_data: fn(Handle) -> *mut c_void;
    close: fn(Handle, Option<HandleCallback>) -> ();
    backend_timeout: fn(Loop) -> c_int;
    poll_init: fn(Loop, Handle, c_int) -> c_int;
    poll_start: fn(Handle, c_int, Option<unsafe extern "C" fn(Handle, c_int, c_int)>) -> c_int;
    prepare_init: fn(Loop, Handle) -> c_int;
    prepare_start: fn(Handle, Option<HandleCallback>) -> c_int;
    timer_init: fn(Loop, Handle) -> c_int;
    timer_start: fn(Handle, Option<HandleCallback>, u64, u64) -> c_int;
    version: fn() -> c_uint;
}

impl Uv {
    pub fn get() -> Option<&'static Self> {
        static UV: OnceLock<Option<Uv>> = OnceLock::new();
        UV.get_or_init(|| {
            let uv = Self::find()?;
            // SAFETY: without arguments and effects.
            (unsafe { (uv.version)() } >> 16 == 1).then_some(uv)
        })
        .as_ref()
    }
}
