//! Where JavaScript and the tasks of an endpoint meet: events go one way, commands the other. Everything that lives is
//! known here by a number.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::hash::{BuildHasherDefault, Hasher};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use iroh::Endpoint;
use iroh::endpoint::{Incoming, VarInt};
use tokio::sync::Notify;

use crate::connection::Conn;
use crate::silence::Unanswered;
use crate::stream::Stream;

/// What is told to JavaScript. The numbers are part of the interface: `src/internal/events.ts` has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Kind {
    /// The sockets are open. `bytes`: their addresses, one a line.
    Bound = 1,
    /// A request came to nothing. `a`: the request, `b`: a `Failure`, `bytes`: a sentence.
    Failed = 2,
    /// Somebody wants to connect. `a`: the attempt, `b`: 1 when its address is proven.
    Incoming = 3,
    /// A connection is there. `a`: the request or attempt, `b`: the connection, `bytes`: the peer's id and the ALPN.
    Connected = 4,
    /// `a`: the connection, `b`: a `Closed`, `code` and `bytes`: what the peer said.
    Closed = 5,
    /// The peer has opened a stream. `a`: the connection, `b`: the stream.
    AcceptedBi = 6,
    AcceptedUni = 7,
    /// A stream that was asked for is open. `a`: the connection, `b`: the stream.
    OpenedBi = 8,
    OpenedUni = 9,
    /// `a`: the stream. Several may be told as one.
    Data = 10,
    /// The peer has sent everything. `a`: the stream.
    End = 11,
    /// `a`: the stream, `code`: the peer's.
    Reset = 12,
    /// The connection of this half is gone. `a`: the stream.
    RecvLost = 13,
    /// `a`: the stream, `code`: the peer's.
    Stopped = 14,
    SendLost = 15,
    /// There is room for more. `a`: the stream. May be late by a write.
    Drained = 16,
    /// Nobody will connect any more.
    NoMore = 17,
    /// All is closed and the sockets are free. The last event.
    EndpointClosed = 18,
    /// There are bytes to be taken, after all that was told as data. `a`: the stream. May be late by a `take`.
    Readable = 19,
}

/// Why a request came to nothing. `src/internal/events.ts` has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Failure {
    UnsupportedProtocol = 1,
    TimedOut = 2,
    NoAddress = 3,
    BadAddress = 4,
    SelfConnect = 5,
    NodeClosed = 6,
    Refused = 7,
    AddressInUse = 8,
    NotLocal = 9,
    PermissionDenied = 10,
    BadRelayUrl = 11,
    Unavailable = 12,
}

pub struct Event {
    pub kind: Kind,
    pub a: u32,
    pub b: u32,
    pub code: u64,
    pub bytes: Bytes,
}

impl Event {
    pub fn new(kind: Kind, a: u32, b: u32) -> Self {
        Self { kind, a, b, code: 0, bytes: Bytes::new() }
    }

    pub fn with_bytes(mut self, bytes: impl Into<Bytes>) -> Self {
        self.bytes = bytes.into();
        self
    }

    pub fn with_code(mut self, code: u64) -> Self {
        self.code = code;
        self
    }
}

pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What JavaScript has said since the tasks were last told.
#[derive(Default)]
struct Commands {
    streams: Vec<Arc<Stream>>,
    conns: Vec<Arc<Conn>>,
    tasks: Vec<Task>,
}

/// The numbers are handed out in turn, so a spread over the table's places is all that is needed.
#[derive(Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u32(&mut self, id: u32) {
        self.0 = u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

pub type IdMap<V> = HashMap<u32, V, BuildHasherDefault<IdHasher>>;

pub struct Hub {
    events: Mutex<VecDeque<Event>>,
    /// Whether JavaScript was told that there are events.
    signalled: AtomicBool,
    /// Tells it, when that has to be done from another thread.
    wake_js: OnceLock<Box<dyn Fn() + Send + Sync>>,
    commands: Mutex<Commands>,
    /// Whether there are commands.
    dirty: AtomicBool,
    /// Tells the thread of the tasks, when that is another one.
    pub pump_needed: Option<Notify>,
    /// The endpoint, once it is bound and until it is closed.
    pub endpoint: Mutex<Option<Endpoint>>,
    pub streams: Mutex<IdMap<Arc<Stream>>>,
    pub conns: Mutex<IdMap<Arc<Conn>>>,
    pub incoming: Mutex<IdMap<Incoming>>,
    /// Connection attempts that JavaScript has room for.
    pub incoming_credit: AtomicU32,
    pub incoming_more: Notify,
    /// Connections that are about to be closed.
    pub closing: AtomicU32,
    /// Dials that are not answered yet.
    pub unanswered: Unanswered,
    /// Set when nothing is left to be done.
    pub finished: AtomicBool,
    pub finished_more: Notify,
    /// Unread bytes that a stream may have here and in JavaScript.
    pub window: u32,
    ids: AtomicU32,
}

/// A lock whose holder panicked guards nothing that is half done: all of them are held for single steps.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    pub fn new(window: u32, threaded: bool) -> Self {
        Self {
            events: Mutex::default(),
            signalled: AtomicBool::new(false),
            wake_js: OnceLock::new(),
            commands: Mutex::default(),
            dirty: AtomicBool::new(false),
            pump_needed: threaded.then(Notify::new),
            endpoint: Mutex::default(),
            streams: Mutex::default(),
            conns: Mutex::default(),
            incoming: Mutex::default(),
            incoming_credit: AtomicU32::new(0),
            incoming_more: Notify::new(),
            closing: AtomicU32::new(0),
            unanswered: Unanswered::default(),
            finished: AtomicBool::new(false),
            finished_more: Notify::new(),
            window,
            ids: AtomicU32::new(1),
        }
    }

    pub fn on_events(&self, wake: impl Fn() + Send + Sync + 'static) {
        let _ = self.wake_js.set(Box::new(wake));
    }

    /// A number that nothing alive has: after four thousand million they begin anew.
    pub fn next_id(&self) -> u32 {
        loop {
            let id = self.ids.fetch_add(1, Ordering::Relaxed);
            if id != 0 && !lock(&self.streams).contains_key(&id) && !lock(&self.conns).contains_key(&id) {
                return id;
            }
        }
    }

    pub fn push(&self, event: Event) {
        self.push_all([event]);
    }

    pub fn push_all(&self, events: impl IntoIterator<Item = Event>) {
        lock(&self.events).extend(events);
        if !self.signalled.swap(true, Ordering::AcqRel)
            && let Some(wake) = self.wake_js.get()
        {
            wake();
        }
    }

    pub fn fail(&self, request: u32, failure: Failure, text: impl Into<String>) {
        self.push(Event::new(Kind::Failed, request, failure as u32).with_bytes(text.into().into_bytes()));
    }

    pub fn has_events(&self) -> bool {
        self.signalled.load(Ordering::Acquire)
    }

    /// Moves the next events to `batch`, up to `count` and about `bytes` of content, and answers the content's length.
    pub fn take_events(&self, batch: &mut Vec<Event>, count: usize, bytes: usize) -> usize {
        let mut events = lock(&self.events);
        let mut total = 0;
        while batch.len() < count
            && let Some(next) = events.front()
            && (batch.is_empty() || total + next.bytes.len() <= bytes)
        {
            total += next.bytes.len();
            batch.extend(events.pop_front());
        }
        // Under the lock: what comes from now on has to signal again.
        if events.is_empty() {
            self.signalled.store(false, Ordering::Release);
        }
        total
    }

    fn command(&self, add: impl FnOnce(&mut Commands)) {
        add(&mut lock(&self.commands));
        if !self.dirty.swap(true, Ordering::AcqRel)
            && let Some(needed) = &self.pump_needed
        {
            needed.notify_one();
        }
    }

    pub fn tell_stream(&self, stream: Arc<Stream>) {
        self.command(|commands| commands.streams.push(stream));
    }

    pub fn tell_conn(&self, conn: Arc<Conn>) {
        self.command(|commands| commands.conns.push(conn));
    }

    pub fn start(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.command(|commands| commands.tasks.push(Box::pin(task)));
    }

    pub fn is_dirty(&self) -> bool {
        self.dirty.load(Ordering::Acquire)
    }

    /// Passes on what JavaScript has said. Called inside the runtime.
    pub fn pump(&self) {
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return;
        }
        let Commands { streams, conns, tasks } = std::mem::take(&mut *lock(&self.commands));
        for task in tasks {
            tokio::spawn(task);
        }
        for conn in conns {
            conn.told();
        }
        for stream in streams {
            stream.told();
        }
    }

    pub fn finish(&self) {
        self.finished.store(true, Ordering::Release);
        self.finished_more.notify_one();
    }

    /// How many connections, streams and attempts there are.
    pub fn alive(&self) -> [u32; 3] {
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        [count(lock(&self.conns).len()), count(lock(&self.streams).len()), count(lock(&self.incoming).len())]
    }

    /// Tells the peers that are left, as far as that can be done without waiting. Called inside the runtime.
    pub async fn farewell(&self) {
        for conn in lock(&self.conns).values() {
            conn.close(VarInt::from_u32(0), b"");
        }
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
    }

    /// Lets go of everything.
    pub fn clear(&self) {
        // Dropping them locks others of these: not while one is held.
        let endpoint = lock(&self.endpoint).take();
        let commands = std::mem::take(&mut *lock(&self.commands));
        let incoming = std::mem::take(&mut *lock(&self.incoming));
        let conns = std::mem::take(&mut *lock(&self.conns));
        let streams = std::mem::take(&mut *lock(&self.streams));
        drop((commands, incoming, streams, conns, endpoint));
    }
}
