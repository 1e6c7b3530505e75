//! The tasks of an endpoint on the thread of JavaScript, driven by Node's own event loop: no call waits for another
//! thread to wake up.
//!
//! libuv watches the runtime's epoll descriptor. A turn runs all tasks that can run, looks for what has come, and ends
//! when nothing is left; then events are told. The runtime does not say when its next timer is due, so a libuv timer
//! looks often while something goes on and seldom otherwise.
//!
//! While JavaScript blocks its thread, the watchdog drives the tasks on another one: acknowledgements and keep-alives
//! go on, and peers do not take us for dead.

use std::ffi::{c_int, c_void};
use std::future::poll_fn;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use napi::sys;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

use crate::delivery::Delivery;
use crate::hub::{Event, Hub, Kind, Task, lock};
use crate::uv::{self, Uv};

/// Looks at the network within one turn before others get theirs.
const LOOKS: u32 = 8;
/// Turns in a row when JavaScript answers at once what it was told.
const ANSWERS: u32 = 4;
/// Periods of the timer, in milliseconds: soon after something went on, later, and at rest.
const PERIODS: [(Duration, u64); 2] = [(Duration::from_millis(50), 1), (Duration::from_secs(1), 5)];
const REST: u64 = 25;
/// JavaScript that did not let go of its thread for so long is taken for blocked.
const BLOCKED: Duration = Duration::from_secs(1);
/// Tasks that run before the network and the timers are looked at.
const EVENT_INTERVAL: u32 = 128;
/// The longest a turn may keep JavaScript waiting, to the tasks that run next.
const TURN: Duration = Duration::from_millis(4);

/// How a turn ends: shared with the runtime's hook, which is called when no task can run.
#[derive(Default)]
struct Turn {
    /// Whether a turn is under way. The watchdog parks as usual.
    under_way: AtomicBool,
    /// Looks that are left.
    looks: AtomicU32,
    /// Whether there was nothing more to be done.
    quiet: AtomicBool,
    over: AtomicBool,
    root: Mutex<Option<Waker>>,
    /// The runtime's epoll descriptor, until nobody watches it any more.
    epoll: Mutex<Option<OwnedFd>>,
}

impl Turn {
    fn begin(&self) {
        self.looks.store(LOOKS, Ordering::Relaxed);
        self.quiet.store(false, Ordering::Relaxed);
        self.over.store(false, Ordering::Relaxed);
        self.under_way.store(true, Ordering::Relaxed);
    }

    /// No task can run. The runtime is about to look at the network: without waiting, and for the last time in this
    /// turn, if this wakes the root.
    fn parking(&self) {
        if !self.under_way.load(Ordering::Relaxed) {
            return;
        }
        let waits = self.has_io();
        let looks = self.looks.load(Ordering::Relaxed);
        if waits && looks > 0 {
            self.looks.store(looks - 1, Ordering::Relaxed);
            return; // what has come is taken now, and tasks can run again
        }
        self.quiet.store(!waits, Ordering::Relaxed);
        self.over.store(true, Ordering::Relaxed);
        if let Some(root) = lock(&self.root).take() {
            root.wake();
        }
    }

    fn has_io(&self) -> bool {
        let epoll = lock(&self.epoll);
        let Some(epoll) = &*epoll else { return false };
        let mut poll = libc::pollfd { fd: epoll.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, which is ours.
        unsafe { libc::poll(&mut poll, 1, 0) > 0 }
    }
}

/// What the event loop's thread and the watchdog share.
pub struct Shared {
    hub: Arc<Hub>,
    turn: Arc<Turn>,
    runtime: Mutex<Option<Runtime>>,
    /// When the loop last came by, in milliseconds since `began`.
    seen: AtomicU64,
    began: Instant,
    /// Set when the loop wants the runtime back.
    wanted: AtomicBool,
    wanted_more: Notify,
    over: Mutex<bool>,
    over_more: Condvar,
}

impl Shared {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The runtime, taken back from the watchdog if it has it.
    fn take_runtime(&self) -> MutexGuard<'_, Option<Runtime>> {
        self.seen.store(self.now(), Ordering::Release);
        if let Ok(runtime) = self.runtime.try_lock() {
            return runtime;
        }
        self.wanted.store(true, Ordering::Release);
        self.wanted_more.notify_one();
        let runtime = lock(&self.runtime);
        self.wanted.store(false, Ordering::Release);
        runtime
    }

    /// Runs the tasks until none can, or for as long as a turn may take. Answers whether that was enough. Called on the
    /// thread of the event loop.
    pub fn turn(&self) -> bool {
        let runtime = self.take_runtime();
        let Some(runtime) = runtime.as_ref() else { return true };
        let turn = &self.turn;
        turn.begin();
        runtime.block_on(async {
            self.hub.pump();
            let over = poll_fn(|cx| {
                if turn.over.load(Ordering::Relaxed) {
                    return Poll::Ready(());
                }
                *lock(&turn.root) = Some(cx.waker().clone());
                Poll::Pending
            });
            tokio::select! {
                biased;
                () = over => {}
                () = tokio::time::sleep(TURN) => {}
            }
        });
        turn.under_way.store(false, Ordering::Relaxed);
        turn.quiet.load(Ordering::Relaxed)
    }

    /// Drops the runtime with all tasks and the sockets they hold.
    fn end(&self) {
        let runtime = self.take_runtime().take();
        *lock(&self.over) = true;
        self.over_more.notify_one();
        if let Some(runtime) = runtime {
            runtime.block_on(self.hub.farewell());
        }
        self.hub.clear();
        // A waker keeps the runtime's descriptors.
        lock(&self.turn.root).take();
    }

    /// Drives the tasks while JavaScript does not let the event loop do it.
    fn watch(&self) {
        let blocked = u64::try_from(BLOCKED.as_millis()).unwrap_or(u64::MAX);
        loop {
            {
                let over = lock(&self.over);
                let waited = self.over_more.wait_timeout_while(over, BLOCKED, |over| !*over);
                if *waited.unwrap_or_else(PoisonError::into_inner).0 {
                    return;
                }
            }
            loop {
                let runtime = lock(&self.runtime);
                let Some(runtime) = runtime.as_ref() else { return };
                let silent = self.now().saturating_sub(self.seen.load(Ordering::Acquire));
                if silent < blocked || self.wanted.load(Ordering::Acquire) {
                    break;
                }
                runtime.block_on(async {
                    self.hub.pump();
                    let _ = tokio::time::timeout(BLOCKED, self.wanted_more.notified()).await;
                });
            }
        }
    }
}

/// One endpoint on the event loop. Belongs to its thread.
struct Inline {
    uv: &'static Uv,
    uv_loop: uv::Loop,
    shared: Arc<Shared>,
    delivery: Delivery,
    poll: uv::Handle,
    prepare: uv::Handle,
    timer: uv::Handle,
    /// When something last went on, and the timer's present period.
    active: Instant,
    period: u64,
    spin: Duration,
    /// Whether an answer may be on its way.
    asked: bool,
    /// Handles that are not closed yet.
    open_handles: u32,
    closing: bool,
    cleanup: sys::napi_async_cleanup_hook_handle,
}

/// A runtime whose turns can be driven, and how.
fn runtime() -> Result<(Runtime, Arc<Turn>), String> {
    let turn = Arc::new(Turn::default());
    let hook = turn.clone();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .on_thread_park(move || hook.parking())
        .build()
        .map_err(|error| error.to_string())?;
    let epoll = find_epoll(&runtime).map_err(|error| format!("the runtime's epoll descriptor: {error}"))?;
    *lock(&turn.epoll) = Some(epoll);
    Ok((runtime, turn))
}

/// A duplicate of the runtime's epoll descriptor, which it does not show. It is the one in which a descriptor of ours
/// is registered.
fn find_epoll(runtime: &Runtime) -> std::io::Result<OwnedFd> {
    let _guard = runtime.enter();
    // SAFETY: the descriptor is new, so nobody else has it.
    let mark = unsafe { owned(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))? };
    let number = mark.as_raw_fd().to_string();
    // SAFETY: the descriptor stays open and the same for as long as its owner, which this takes.
    let _registered = unsafe { AsyncFd::register_with_interest(mark, Interest::READABLE)? };
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        if std::fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == "anon_inode:[eventpoll]")
            && let Some(fd) = entry.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok())
            && let Ok(info) = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}"))
            && info.lines().any(|line| {
                line.strip_prefix("tfd:").and_then(|rest| rest.split_whitespace().next()) == Some(&number)
            })
        {
            // SAFETY: the runtime keeps the descriptor open, and the duplicate is new.
            return unsafe { owned(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0)) };
        }
    }
    Err(std::io::Error::other("not found in /proc/self/fd"))
}

/// # Safety
/// Nobody else closes `fd`.
unsafe fn owned(fd: RawFd) -> std::io::Result<OwnedFd> {
    if fd < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: as the caller promises.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What an endpoint on the event loop needs of the process.
pub struct Ready {
    uv: &'static Uv,
    runtime: Runtime,
    turn: Arc<Turn>,
}

/// Whether this process can do it; if not, why.
pub fn prepare() -> Result<Ready, String> {
    let uv = Uv::get().ok_or("the process has no libuv")?;
    let (runtime, turn) = runtime()?;
    Ok(Ready { uv, runtime, turn })
}

/// Puts an endpoint on the event loop; `first` is its first task.
///
/// # Safety
/// `env` is the calling thread's environment and `delivery` was made in it.
pub unsafe fn start(
    env: sys::napi_env,
    hub: Arc<Hub>,
    delivery: Delivery,
    Ready { uv, runtime, turn }: Ready,
    spin: Duration,
    first: Task,
) -> Result<Arc<Shared>, String> {
    let mut uv_loop = null_mut();
    // SAFETY: `env` is this thread's.
    if unsafe { sys::napi_get_uv_event_loop(env, &mut uv_loop) } != sys::Status::napi_ok {
        return Err("the environment has no event loop".into());
    }
    let Some(fd) = lock(&turn.epoll).as_ref().map(AsRawFd::as_raw_fd) else {
        return Err("the runtime has no descriptor".into());
    };
    hub.start(first);
    let shared = Arc::new(Shared {
        hub,
        turn,
        runtime: Mutex::new(Some(runtime)),
        seen: AtomicU64::new(0),
        began: Instant::now(),
        wanted: AtomicBool::new(false),
        wanted_more: Notify::new(),
        over: Mutex::new(false),
        over_more: Condvar::new(),
    });
    let watched = shared.clone();
    thread::Builder::new()
        .name("aster-iroh-watch".into())
        .spawn(move || watched.watch())
        .map_err(|error| error.to_string())?;
    // SAFETY: all of this is on the loop's thread. Handles have the size that libuv says, are initialized before they
    // are used and freed in their close callbacks; the `Inline` lives until the last of these.
    unsafe {
        let poll = allocate(uv, uv::POLL);
        let uv_loop: uv::Loop = uv_loop.cast();
        if (uv.poll_init)(uv_loop, poll, fd) != 0 {
            libc::free(poll);
            shared.end();
            return Err("libuv cannot watch the runtime's descriptor".into());
        }
        let this = Box::into_raw(Box::new(Inline {
            uv,
            uv_loop,
            shared: shared.clone(),
            delivery,
            poll,
            prepare: allocate(uv, uv::PREPARE),
            timer: allocate(uv, uv::TIMER),
            active: Instant::now(),
            period: 1,
            spin,
            asked: false,
            open_handles: 3,
            closing: false,
            cleanup: null_mut(),
        }));
        let at = &mut *this;
        (uv.prepare_init)(uv_loop, at.prepare);
        (uv.timer_init)(uv_loop, at.timer);
        for handle in [at.poll, at.prepare, at.timer] {
            (uv.handle_set_data)(handle, this.cast());
        }
        (uv.poll_start)(at.poll, uv::READABLE, Some(on_readable));
        (uv.prepare_start)(at.prepare, Some(on_prepare));
        (uv.timer_start)(at.timer, Some(on_timer), 0, 0);
        sys::napi_add_async_cleanup_hook(env, Some(leave), this.cast(), &mut at.cleanup);
    }
    Ok(shared)
}

/// # Safety
/// `kind` is a handle type of libuv.
unsafe fn allocate(uv: &Uv, kind: c_int) -> uv::Handle {
    // SAFETY: zeroed memory of the size that libuv says, aligned for everything.
    let memory = unsafe { libc::calloc(1, (uv.handle_size)(kind)) };
    assert!(!memory.is_null(), "out of memory");
    memory
}

/// The endpoint of a handle.
///
/// # Safety
/// The handle is one of `start`'s and not closed; nothing else of the endpoint's is in use.
unsafe fn at<'a>(handle: uv::Handle) -> &'a mut Inline {
    let Some(uv) = Uv::get() else { unreachable!("the handle is libuv's") };
    // SAFETY: `start` put it there and the last close callback frees it.
    unsafe { &mut *(uv.handle_get_data)(handle).cast::<Inline>() }
}

unsafe extern "C" fn on_readable(handle: uv::Handle, _status: c_int, _events: c_int) {
    // SAFETY: called by the loop.
    unsafe { at(handle) }.guarded(|this| {
        this.went_on();
        this.work();
    });
}

/// The loop is about to wait for something to come.
unsafe extern "C" fn on_prepare(handle: uv::Handle) {
    // SAFETY: called by the loop.
    unsafe { at(handle) }.guarded(|this| {
        if this.shared.hub.is_dirty() || this.shared.hub.has_events() {
            this.asked = true;
            this.went_on();
            this.work();
        }
        if this.asked && !this.spin.is_zero() {
            this.spin();
        }
    });
}

unsafe extern "C" fn on_timer(handle: uv::Handle) {
    // SAFETY: called by the loop.
    unsafe { at(handle) }.guarded(|this| {
        let quiet = this.active.elapsed();
        this.period = PERIODS.iter().find(|(until, _)| quiet < *until).map_or(REST, |(_, period)| *period);
        this.schedule(this.period);
        this.work();
    });
}

unsafe extern "C" fn on_closed(handle: uv::Handle) {
    // SAFETY: called by the loop, once for each handle; the last one frees what they share.
    unsafe {
        let this: *mut Inline = at(handle);
        libc::free(handle);
        (*this).open_handles -= 1;
        if (*this).open_handles == 0 {
            let this = Box::from_raw(this);
            lock(&this.shared.turn.epoll).take();
            sys::napi_remove_async_cleanup_hook(this.cleanup);
        }
    }
}

/// The environment ends, perhaps in the middle of traffic. JavaScript does not run any more.
unsafe extern "C" fn leave(_handle: sys::napi_async_cleanup_hook_handle, this: *mut c_void) {
    // SAFETY: the hook is removed when the last handle was closed.
    unsafe { &mut *this.cast::<Inline>() }.guarded(|this| {
        if !this.closing {
            this.shared.end();
            this.close_handles();
        }
    });
}

impl Inline {
    /// Keeps a panic from the C code that called.
    fn guarded(&mut self, body: impl FnOnce(&mut Self)) {
        // What a panic may leave half done is one look at the network; tasks that panic are the runtime's.
        let _ = catch_unwind(AssertUnwindSafe(|| body(self)));
    }

    fn schedule(&mut self, milliseconds: u64) {
        if !self.closing {
            // SAFETY: the timer is initialized and not closing.
            unsafe { (self.uv.timer_start)(self.timer, Some(on_timer), milliseconds, 0) };
        }
    }

    /// Something goes on, so timers may be due soon.
    fn went_on(&mut self) {
        self.active = Instant::now();
        if self.period > 1 {
            self.period = 1;
            self.schedule(1);
        }
    }

    /// Lets the tasks run and tells what they have to tell, while JavaScript answers at once.
    fn work(&mut self) {
        let mut enough = true;
        for _ in 0..ANSWERS {
            if self.closing {
                return;
            }
            enough = self.shared.turn();
            if self.shared.hub.has_events() {
                self.asked = false;
                // SAFETY: called by the loop, when JavaScript may run, and not from within a delivery.
                enough &= !unsafe { self.delivery.deliver(&self.shared.hub) };
            }
            if self.shared.hub.finished.load(Ordering::Acquire) {
                return self.finish();
            }
            if !self.shared.hub.is_dirty() {
                break;
            }
            self.asked = true;
        }
        if !enough {
            self.period = 1;
            self.schedule(0);
        }
    }

    /// Waits for an answer without letting the processor sleep. Nothing else may wait to be done by the loop.
    fn spin(&mut self) {
        let end = Instant::now() + self.spin;
        // SAFETY: the loop is the one that runs.
        while self.asked && !self.closing && unsafe { (self.uv.backend_timeout)(self.uv_loop) } != 0 {
            if self.shared.turn.has_io() {
                self.work();
            } else if Instant::now() >= end {
                self.asked = false;
            } else {
                std::hint::spin_loop();
            }
        }
    }

    /// Nothing is left: lets go of the sockets, says so and goes.
    fn finish(&mut self) {
        self.shared.end();
        self.shared.hub.push(Event::new(Kind::EndpointClosed, 0, 0));
        self.close_handles();
        // SAFETY: as in `work`.
        unsafe {
            while self.delivery.deliver(&self.shared.hub) {}
            self.delivery.release();
        }
    }

    fn close_handles(&mut self) {
        self.closing = true;
        for handle in [self.poll, self.prepare, self.timer] {
            // SAFETY: initialized, and closed once.
            unsafe { (self.uv.close)(handle, Some(on_closed)) };
        }
    }
}
