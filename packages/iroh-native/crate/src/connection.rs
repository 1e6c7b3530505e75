//! A connection: one task takes in and opens streams as JavaScript has room for them, and tells when it is over.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use iroh::TransportAddr;
use iroh::endpoint::{Connection, ConnectionError, VarInt};
use tokio::sync::Notify;

use crate::hub::{Event, Hub, IdMap, Kind, lock};
use crate::stream::Stream;

/// How long a connection that we close waits for what was finished before to be acknowledged.
const LINGER: Duration = Duration::from_millis(100);

/// How a connection ended. `src/internal/events.ts` has the same.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Closed {
    Local = 0,
    Peer = 1,
    TimedOut = 2,
    Transport = 3,
}

#[derive(Default)]
struct Said {
    accept_bi: u32,
    accept_uni: u32,
    /// Streams that are asked for and not open yet.
    open_bi: u32,
    open_uni: u32,
    telling: bool,
    /// Whether JavaScript knows that it is over.
    over: bool,
    streams: IdMap<Arc<Stream>>,
}

pub struct Conn {
    pub id: u32,
    pub inner: Connection,
    /// Where the peer was said to be when it was dialled.
    pub dialled_at: Box<[TransportAddr]>,
    said: Mutex<Said>,
    told: Notify,
}

impl Conn {
    /// Registers a connection, tells JavaScript and starts its task. Called inside the runtime.
    pub fn register(hub: &Arc<Hub>, request: u32, inner: Connection, dialled_at: Box<[TransportAddr]>) {
        let id = hub.next_id();
        let mut about = inner.remote_id().as_bytes().to_vec();
        about.extend_from_slice(inner.alpn());
        let conn = Arc::new(Conn { id, inner, dialled_at, said: Mutex::default(), told: Notify::new() });
        lock(&hub.conns).insert(id, conn.clone());
        hub.push(Event::new(Kind::Connected, request, id).with_bytes(about));
        tokio::spawn(conn.run(hub.clone()));
    }

    fn say(self: &Arc<Self>, hub: &Hub, what: impl FnOnce(&mut Said)) {
        let tell = {
            let mut said = lock(&self.said);
            what(&mut said);
            !std::mem::replace(&mut said.telling, true)
        };
        if tell {
            hub.tell_conn(self.clone());
        }
    }

    pub fn told(&self) {
        lock(&self.said).telling = false;
        self.told.notify_one();
    }

    pub fn accept(self: &Arc<Self>, hub: &Hub, bi: bool, credits: u32) {
        self.say(hub, |said| {
            let credit = if bi { &mut said.accept_bi } else { &mut said.accept_uni };
            *credit = credit.saturating_add(credits);
        });
    }

    /// A stream that can be opened at once, or 0: then an event brings it. Those who wait already come first.
    pub fn open(self: &Arc<Self>, hub: &Arc<Hub>, bi: bool) -> u32 {
        let waiting = {
            let said = lock(&self.said);
            if bi { said.open_bi } else { said.open_uni }
        };
        if waiting == 0 {
            let cx = &mut Context::from_waker(Waker::noop());
            let opened = if bi {
                match pin!(self.inner.open_bi()).poll(cx) {
                    Poll::Ready(Ok((send, recv))) => Some((send, Some(recv))),
                    _ => None,
                }
            } else {
                match pin!(self.inner.open_uni()).poll(cx) {
                    Poll::Ready(Ok(send)) => Some((send, None)),
                    _ => None,
                }
            };
            if let Some((send, recv)) = opened {
                let (id, task) = Stream::register(hub, self, Some(send), recv);
                hub.start(task);
                return id;
            }
        }
        self.say(hub, |said| {
            let open = if bi { &mut said.open_bi } else { &mut said.open_uni };
            *open = open.saturating_add(1);
        });
        0
    }

    pub fn add_stream(&self, id: u32, stream: &Arc<Stream>) {
        lock(&self.said).streams.insert(id, stream.clone());
    }

    pub fn remove_stream(&self, id: u32) {
        lock(&self.said).streams.remove(&id);
    }

    pub fn close(&self, code: VarInt, reason: &[u8]) {
        self.inner.close(code, reason);
    }

    /// Closes the connection once what JavaScript has written and finished before is with the peer: some peers end
    /// their half before they have read ours. One that takes long does not get the rest.
    pub fn close_soon(self: Arc<Self>, hub: &Arc<Hub>, code: VarInt, reason: Vec<u8>) {
        let at = hub.clone();
        at.closing.fetch_add(1, Ordering::AcqRel);
        hub.start(async move {
            tokio::task::yield_now().await;
            let end = Instant::now() + LINGER;
            while Instant::now() < end && self.is_finishing() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            self.close(code, &reason);
            at.closing.fetch_sub(1, Ordering::AcqRel);
        });
    }

    /// Ends a connection of which the peer is taken for dead.
    pub fn give_up(&self, hub: &Hub) {
        self.lost(hub, &ConnectionError::TimedOut);
        self.close(VarInt::from_u32(0), b"");
    }

    fn is_finishing(&self) -> bool {
        lock(&self.said).streams.values().any(|stream| stream.is_finishing())
    }

    /// Tells JavaScript once why the connection is over, before its streams do.
    pub fn lost(&self, hub: &Hub, reason: &ConnectionError) {
        let streams = {
            let mut said = lock(&self.said);
            if std::mem::replace(&mut said.over, true) {
                return;
            }
            said.streams.values().cloned().collect::<Vec<_>>()
        };
        hub.push(closed_event(self.id, reason));
        // Those without credit, or with nothing to send, do not notice by themselves.
        for stream in streams {
            stream.lost();
        }
    }

    async fn run(self: Arc<Self>, hub: Arc<Hub>) {
        let inner = self.inner.clone();
        let mut closed = Box::pin(async move { inner.closed().await });
        let reason = loop {
            let (accept_bi, accept_uni, open_bi, open_uni) = {
                let said = lock(&self.said);
                (said.accept_bi > 0, said.accept_uni > 0, said.open_bi > 0, said.open_uni > 0)
            };
            tokio::select! {
                biased;
                reason = &mut closed => break reason,
                () = self.told.notified() => {}
                opened = self.inner.open_bi(), if open_bi => match opened {
                    Ok((send, recv)) => {
                        lock(&self.said).open_bi -= 1;
                        self.begin(&hub, Kind::OpenedBi, Some(send), Some(recv));
                    }
                    Err(reason) => break reason,
                },
                opened = self.inner.open_uni(), if open_uni => match opened {
                    Ok(send) => {
                        lock(&self.said).open_uni -= 1;
                        self.begin(&hub, Kind::OpenedUni, Some(send), None);
                    }
                    Err(reason) => break reason,
                },
                accepted = self.inner.accept_bi(), if accept_bi => match accepted {
                    Ok((send, recv)) => {
                        lock(&self.said).accept_bi -= 1;
                        self.begin(&hub, Kind::AcceptedBi, Some(send), Some(recv));
                    }
                    Err(reason) => break reason,
                },
                accepted = self.inner.accept_uni(), if accept_uni => match accepted {
                    Ok(recv) => {
                        lock(&self.said).accept_uni -= 1;
                        self.begin(&hub, Kind::AcceptedUni, None, Some(recv));
                    }
                    Err(reason) => break reason,
                },
            }
        };
        self.lost(&hub, &reason);
        lock(&hub.conns).remove(&self.id);
    }

    fn begin(
        self: &Arc<Self>,
        hub: &Arc<Hub>,
        kind: Kind,
        send: Option<iroh::endpoint::SendStream>,
        recv: Option<iroh::endpoint::RecvStream>,
    ) {
        let (id, task) = Stream::register(hub, self, send, recv);
        hub.push(Event::new(kind, self.id, id));
        tokio::spawn(task);
    }
}

fn closed_event(id: u32, reason: &ConnectionError) -> Event {
    let event = |how: Closed| Event::new(Kind::Closed, id, how as u32);
    match reason {
        ConnectionError::LocallyClosed => event(Closed::Local),
        ConnectionError::TimedOut => event(Closed::TimedOut),
        ConnectionError::ApplicationClosed(close) => {
            event(Closed::Peer).with_code(close.error_code.into_inner()).with_bytes(close.reason.clone())
        }
        other => event(Closed::Transport).with_bytes(other.to_string().into_bytes()),
    }
}
