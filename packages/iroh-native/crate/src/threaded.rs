//! The tasks of an endpoint on a thread of their own. It wakes JavaScript through a thread-safe function.

use std::ffi::{CStr, c_void};
use std::ptr::null_mut;
use std::sync::{Arc, Mutex};
use std::thread;

use napi::sys;
use tokio::runtime::Builder;

use crate::delivery::Delivery;
use crate::hub::{Event, Hub, Kind, Task, lock};

/// Where the tasks' thread tells JavaScript. Gone once the environment is, which may be at any time.
struct Target(Mutex<Option<sys::napi_threadsafe_function>>);

// SAFETY: a thread-safe function may be called from every thread while it lives, which the lock is for.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

/// What the function and the cleanup hook own, on the environment's thread.
struct Context {
    hub: Arc<Hub>,
    target: Arc<Target>,
    delivery: Delivery,
}

/// Starts the thread; `first` is its first task.
///
/// # Safety
/// `env` is the calling thread's environment and `delivery` was made in it.
pub unsafe fn start(
    env: sys::napi_env,
    hub: Arc<Hub>,
    delivery: Delivery,
    first: Task,
) -> Result<(), String> {
    let target = Arc::new(Target(Mutex::new(None)));
    let context = Box::into_raw(Box::new(Context { hub: hub.clone(), target: target.clone(), delivery }));
    const NAME: &CStr = c"aster-iroh-native";
    // SAFETY: `context` lives until `finalize`, which Node calls once, after the last `deliver`.
    unsafe {
        let mut name = null_mut();
        let mut function = null_mut();
        let made = sys::napi_create_string_utf8(env, NAME.as_ptr(), NAME.count_bytes() as isize, &mut name)
            == sys::Status::napi_ok
            && sys::napi_create_threadsafe_function(
                env,
                null_mut(),
                null_mut(),
                name,
                0,
                1,
                context.cast(),
                Some(finalize),
                context.cast(),
                Some(deliver),
                &mut function,
            ) == sys::Status::napi_ok;
        if !made {
            drop(Box::from_raw(context));
            return Err("the environment takes no thread-safe function".into());
        }
        *lock(&target.0) = Some(function);
        sys::napi_add_env_cleanup_hook(env, Some(leave), context.cast());
    }
    hub.on_events({
        let target = target.clone();
        move || {
            if let Some(function) = *lock(&target.0) {
                // SAFETY: it lives for as long as it is in there.
                unsafe {
                    sys::napi_call_threadsafe_function(
                        function,
                        null_mut(),
                        sys::ThreadsafeFunctionCallMode::nonblocking,
                    );
                }
            }
        }
    });
    thread::Builder::new()
        .name("aster-iroh".into())
        .spawn(move || run(&hub, first))
        .map(drop)
        .map_err(|error| error.to_string())
}

fn run(hub: &Arc<Hub>, first: Task) {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            hub.fail(crate::endpoint::BIND, crate::hub::Failure::Unavailable, error.to_string());
            hub.push(Event::new(Kind::EndpointClosed, 0, 0));
            return;
        }
    };
    runtime.block_on(async {
        tokio::spawn(first);
        loop {
            tokio::select! {
                () = hub.finished_more.notified() => break,
                () = async {
                    match &hub.pump_needed {
                        Some(needed) => needed.notified().await,
                        None => std::future::pending().await,
                    }
                } => hub.pump(),
            }
        }
    });
    // The sockets go with the tasks that hold them, and these let go of what is registered.
    runtime.block_on(hub.farewell());
    drop(runtime);
    hub.clear();
    hub.push(Event::new(Kind::EndpointClosed, 0, 0));
}

/// Called on the thread of the environment for every wake-up.
unsafe extern "C" fn deliver(
    env: sys::napi_env,
    _function: sys::napi_value,
    context: *mut c_void,
    _data: *mut c_void,
) {
    if env.is_null() {
        return; // it comes down
    }
    // SAFETY: the context lives until `finalize`. JavaScript that runs in here does not reach it: `bind` makes others
    // and the object that JavaScript has knows only the hub.
    let Context { hub, target, delivery } = unsafe { &mut *context.cast::<Context>() };
    // SAFETY: this is the environment's thread, and Node calls this when JavaScript may run.
    let more = unsafe { delivery.deliver(hub) };
    let mut function = lock(&target.0);
    // SAFETY: a function lives for as long as it is in there.
    unsafe {
        if delivery.ended {
            if let Some(function) = function.take() {
                sys::napi_release_threadsafe_function(function, sys::ThreadsafeFunctionReleaseMode::release);
            }
        } else if more && let Some(function) = *function {
            sys::napi_call_threadsafe_function(
                function,
                null_mut(),
                sys::ThreadsafeFunctionCallMode::nonblocking,
            );
        }
    }
}

unsafe extern "C" fn finalize(env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: made by `start`, and Node calls this once, on the environment's thread.
    unsafe {
        let mut context = Box::from_raw(data.cast::<Context>());
        if !env.is_null() {
            sys::napi_remove_env_cleanup_hook(env, Some(leave), data);
            context.delivery.release();
        }
    }
}

/// The environment ends, perhaps in the middle of traffic.
unsafe extern "C" fn leave(context: *mut c_void) {
    // SAFETY: hooks run before `finalize`, which would have removed this one.
    let context = unsafe { &*context.cast::<Context>() };
    lock(&context.target.0).take();
    context.hub.finish();
}
