//! Hands events to JavaScript: one call for many, their bytes in one buffer.

use std::ffi::c_void;
use std::ptr::null_mut;

use napi::sys;

use crate::hub::{Event, Hub, Kind};

/// Numbers an event is told with.
const FIELDS: usize = 8;
/// About as much content goes with one call.
const CALL_BYTES: usize = 256 * 1024;
/// Small contents share a buffer of this size, larger ones get their own.
const SLAB: usize = 64 * 1024;
const SMALL: usize = 16 * 1024;
/// After so many calls others get their turn.
const CALLS: usize = 8;

/// Where events go. Belongs to the thread of its environment.
pub struct Delivery {
    env: sys::napi_env,
    callback: sys::napi_ref,
    meta: sys::napi_ref,
    slab: sys::napi_ref,
    used: usize,
    batch: Vec<Event>,
    /// Whether the last event was told.
    pub ended: bool,
}

/// A buffer of JavaScript and where its memory is, until JavaScript runs again.
struct Buffer {
    value: sys::napi_value,
    data: *mut u8,
    /// What is used of it already.
    start: usize,
}

impl Delivery {
    /// # Safety
    /// `env` is the calling thread's environment, `callback` a function and `meta` an Int32Array in it.
    pub unsafe fn new(env: sys::napi_env, callback: sys::napi_value, meta: sys::napi_value) -> Option<Self> {
        let mut this = Self {
            env,
            callback: null_mut(),
            meta: null_mut(),
            slab: null_mut(),
            used: 0,
            batch: Vec::new(),
            ended: false,
        };
        // SAFETY: as the caller promises.
        unsafe {
            let made = sys::napi_create_reference(env, callback, 1, &mut this.callback)
                == sys::Status::napi_ok
                && sys::napi_create_reference(env, meta, 1, &mut this.meta) == sys::Status::napi_ok;
            made.then_some(this)
        }
    }

    /// Tells what has happened. Answers whether there is more.
    ///
    /// # Safety
    /// Called on the thread of the environment, which can run JavaScript, and not from within itself.
    pub unsafe fn deliver(&mut self, hub: &Hub) -> bool {
        for _ in 0..CALLS {
            if !hub.has_events() {
                return false;
            }
            let mut scope = null_mut();
            // SAFETY: as the caller promises; the scope is closed before the next turn.
            unsafe {
                if sys::napi_open_handle_scope(self.env, &mut scope) != sys::Status::napi_ok {
                    return false;
                }
                let told = self.call(hub);
                sys::napi_close_handle_scope(self.env, scope);
                if told.is_none() {
                    return false;
                }
            }
        }
        hub.has_events()
    }

    /// # Safety
    /// As for `deliver`, in a handle scope.
    unsafe fn call(&mut self, hub: &Hub) -> Option<()> {
        // SAFETY: handles are of this environment and used in their scope. Memory of buffers is looked up anew each
        // time, with its length, since JavaScript may have detached it, and no JavaScript runs while it is written.
        unsafe {
            let (meta, capacity) = self.meta()?;
            let mut batch = std::mem::take(&mut self.batch);
            let total = hub.take_events(&mut batch, capacity, CALL_BYTES);
            let buffer = self.buffer(total);
            let count = buffer.as_ref().map(|Buffer { data, start, .. }| {
                let meta = std::slice::from_raw_parts_mut(meta, capacity * FIELDS);
                let bytes = std::slice::from_raw_parts_mut(data.add(*start), total);
                fill(&batch, *start, bytes, meta)
            });
            self.ended |= batch.last().is_some_and(|event| event.kind == Kind::EndpointClosed);
            batch.clear();
            self.batch = batch;
            let (count, buffer) = (count?, buffer?);

            let mut callback = null_mut();
            let mut number = null_mut();
            ok(sys::napi_get_reference_value(self.env, self.callback, &mut callback))?;
            ok(sys::napi_create_uint32(self.env, count, &mut number))?;
            let mut global = null_mut();
            ok(sys::napi_get_global(self.env, &mut global))?;
            let arguments = [number, buffer.value];
            let mut result = null_mut();
            let status = sys::napi_make_callback(
                self.env,
                null_mut(),
                global,
                callback,
                arguments.len(),
                arguments.as_ptr(),
                &mut result,
            );
            if status == sys::Status::napi_pending_exception {
                let mut exception = null_mut();
                ok(sys::napi_get_and_clear_last_exception(self.env, &mut exception))?;
                sys::napi_fatal_exception(self.env, exception);
            }
            ok(status)
        }
    }

    /// # Safety
    /// As for `call`.
    unsafe fn meta(&self) -> Option<(*mut i32, usize)> {
        let mut value = null_mut();
        let mut length = 0;
        let mut data: *mut c_void = null_mut();
        let mut kind = 0;
        let mut buffer = null_mut();
        let mut offset = 0;
        // SAFETY: as the caller promises.
        unsafe {
            ok(sys::napi_get_reference_value(self.env, self.meta, &mut value))?;
            ok(sys::napi_get_typedarray_info(
                self.env,
                value,
                &mut kind,
                &mut length,
                &mut data,
                &mut buffer,
                &mut offset,
            ))?;
        }
        (kind == sys::TypedarrayType::int32_array && length >= FIELDS && !data.is_null())
            .then_some((data.cast(), length / FIELDS))
    }

    /// # Safety
    /// As for `call`.
    unsafe fn buffer(&mut self, length: usize) -> Option<Buffer> {
        // SAFETY: as the caller promises; references are made and deleted in pairs.
        unsafe {
            if length > SMALL {
                return self.fresh(length);
            }
            if !self.slab.is_null() && self.used + length <= SLAB {
                let mut value = null_mut();
                let mut data: *mut c_void = null_mut();
                let mut size = 0;
                ok(sys::napi_get_reference_value(self.env, self.slab, &mut value))?;
                ok(sys::napi_get_buffer_info(self.env, value, &mut data, &mut size))?;
                if size == SLAB && !data.is_null() {
                    let start = self.used;
                    self.used += length;
                    return Some(Buffer { value, data: data.cast(), start });
                }
            }
            if !self.slab.is_null() {
                sys::napi_delete_reference(self.env, std::mem::replace(&mut self.slab, null_mut()));
            }
            self.used = length;
            let slab = self.fresh(SLAB)?;
            ok(sys::napi_create_reference(self.env, slab.value, 1, &mut self.slab))?;
            Some(slab)
        }
    }

    /// # Safety
    /// As for `call`.
    unsafe fn fresh(&self, length: usize) -> Option<Buffer> {
        let mut value = null_mut();
        let mut data: *mut c_void = null_mut();
        // SAFETY: as the caller promises. It fails while the environment comes down.
        unsafe { ok(sys::napi_create_buffer(self.env, length, &mut data, &mut value))? };
        Some(Buffer { value, data: data.cast(), start: 0 })
    }

    /// # Safety
    /// As for `deliver`, at most once.
    pub unsafe fn release(&mut self) {
        for reference in [&mut self.callback, &mut self.meta, &mut self.slab] {
            if !reference.is_null() {
                // SAFETY: as the caller promises.
                unsafe { sys::napi_delete_reference(self.env, std::mem::replace(reference, null_mut())) };
            }
        }
    }
}

fn ok(status: sys::napi_status) -> Option<()> {
    (status == sys::Status::napi_ok).then_some(())
}

/// Writes a batch and answers how many events it became: what one stream brings in a row is one.
fn fill(batch: &[Event], start: usize, bytes: &mut [u8], meta: &mut [i32]) -> u32 {
    let word = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let mut used = 0;
    let mut count = 0;
    for Event { kind, a, b, code, bytes: content } in batch {
        bytes[used..used + content.len()].copy_from_slice(content);
        let last = (count as usize).checked_sub(1).map(|last| last * FIELDS);
        match last {
            Some(at)
                if *kind == Kind::Data
                    && meta[at] == Kind::Data as i32
                    && meta[at + 1] == a.cast_signed() =>
            {
                meta[at + 4] += word(content.len());
            }
            _ => {
                let at = count as usize * FIELDS;
                meta[at..at + FIELDS].copy_from_slice(&[
                    *kind as i32,
                    a.cast_signed(),
                    b.cast_signed(),
                    word(start + used),
                    word(content.len()),
                    (*code as u32).cast_signed(),
                    ((*code >> 32) as u32).cast_signed(),
                    0,
                ]);
                count += 1;
            }
        }
        used += content.len();
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stream_brings_in_a_row_is_one_event() {
        let data = |id, bytes: &'static [u8]| Event::new(Kind::Data, id, 0).with_bytes(bytes);
        let batch =
            [data(7, b"ab"), data(7, b"c"), data(8, b"d"), Event::new(Kind::End, 8, 0), data(7, b"e")];
        let mut bytes = [0; 5];
        let mut meta = [0; 40];
        assert_eq!(fill(&batch, 10, &mut bytes, &mut meta), 4);
        assert_eq!(&bytes, b"abcde");
        assert_eq!(&meta[..5], [10, 7, 0, 10, 3]);
        assert_eq!(&meta[8..13], [10, 8, 0, 13, 1]);
        assert_eq!(&meta[16..21], [11, 8, 0, 14, 0]);
        assert_eq!(&meta[24..29], [10, 7, 0, 14, 1]);
    }

    #[test]
    fn codes_are_two_words() {
        let batch = [Event::new(Kind::Reset, u32::MAX, 0).with_code((1 << 53) - 1)];
        let mut meta = [0; 8];
        fill(&batch, 0, &mut [], &mut meta);
        assert_eq!(meta, [12, -1, 0, 0, 0, -1, (1 << 21) - 1, 0]);
    }
}
