//! A stream: what JavaScript says is kept under a small lock, and one task moves the bytes of both halves.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use iroh::endpoint::{ReadError, RecvStream, SendStream, StoppedError, VarInt, WriteError};

use crate::connection::Conn;
use crate::hub::{Event, Hub, Kind, lock};

/// From so many bytes queued on, a writer waits until half of them have left.
pub const WRITE_MARK: usize = 48 * 1024;
/// What a stream may still bring after nobody reads it any more.
const DISCARD_LIMIT: usize = 64 * 1024;
/// Segments that one look at a stream takes.
const SEGMENTS: usize = 32;
/// The most that a segment usually has.
const SEGMENT: usize = 1500;
/// Segments that are told as data at a time; what comes with them waits to be taken.
const TOLD: usize = 11;

#[derive(Default)]
struct Said {
    out: VecDeque<Bytes>,
    /// Bytes written and not yet with the transport.
    queued: usize,
    /// Whether a writer waits for room.
    waited_for: bool,
    finish: bool,
    reset: Option<VarInt>,
    stop: Option<VarInt>,
    discard: bool,
    /// Read credit not yet seen by the task.
    credit: usize,
    /// Whether all that comes waits in `inbox` for JavaScript to take it into memory of its own, rather than being told.
    keep: bool,
    inbox: VecDeque<Bytes>,
    /// Whether the task waits for the inbox to be empty.
    ending: bool,
    lost: bool,
    /// Whether the task will be told.
    telling: bool,
    waker: Option<Waker>,
    /// No task is left that could send.
    send_over: bool,
}

pub struct Stream {
    said: Mutex<Said>,
}

impl Stream {
    /// Registers a stream and answers its number and the task that moves its bytes.
    pub fn register(
        hub: &Arc<Hub>,
        conn: &Arc<Conn>,
        send: Option<SendStream>,
        recv: Option<RecvStream>,
    ) -> (u32, StreamTask) {
        let id = hub.next_id();
        let said = Said { send_over: send.is_none(), ..Said::default() };
        let stream = Arc::new(Stream { said: Mutex::new(said) });
        lock(&hub.streams).insert(id, stream.clone());
        conn.add_stream(id, &stream);
        let task = StreamTask {
            id,
            hub: hub.clone(),
            conn: conn.clone(),
            stream,
            send: send.map(Sending::Open),
            recv,
            ending: None,
            out: VecDeque::new(),
            finish: false,
            credit: isize::try_from(hub.window).unwrap_or(isize::MAX),
            discarded: None,
        };
        (id, task)
    }

    fn say(self: &Arc<Self>, hub: &Hub, what: impl FnOnce(&mut Said)) {
        let tell = {
            let mut said = lock(&self.said);
            what(&mut said);
            !std::mem::replace(&mut said.telling, true)
        };
        if tell {
            hub.tell_stream(self.clone());
        }
    }

    /// Queues bytes and answers how many there are now; -1 when nobody will send them.
    pub fn write(self: &Arc<Self>, hub: &Hub, bytes: &[u8], finish: bool) -> i64 {
        let mut queued = -1;
        self.say(hub, |said| {
            if said.send_over || said.finish {
                return;
            }
            if !bytes.is_empty() {
                said.out.push_back(Bytes::copy_from_slice(bytes));
                said.queued += bytes.len();
            }
            said.finish = finish;
            said.waited_for = said.queued > WRITE_MARK;
            queued = i64::try_from(said.queued).unwrap_or(i64::MAX);
        });
        queued
    }

    pub fn reset(self: &Arc<Self>, hub: &Hub, code: VarInt) {
        self.say(hub, |said| {
            said.reset.get_or_insert(code);
            said.out.clear();
        });
    }

    pub fn stop(self: &Arc<Self>, hub: &Hub, code: VarInt) {
        self.say(hub, |said| {
            said.stop.get_or_insert(code);
        });
    }

    pub fn discard(self: &Arc<Self>, hub: &Hub) {
        self.say(hub, |said| said.discard = true);
    }

    /// From now on bytes wait for [`Stream::take`].
    pub fn keep(self: &Arc<Self>, hub: &Hub) {
        self.say(hub, |said| said.keep = true);
    }

    /// Moves bytes that wait to `room` and answers how many those are.
    pub fn take(self: &Arc<Self>, hub: &Hub, room: &mut [u8]) -> usize {
        let mut said = lock(&self.said);
        let inbox = &mut said.inbox;
        let mut used = 0;
        while used < room.len()
            && let Some(next) = inbox.front_mut()
        {
            let part = next.split_to(next.len().min(room.len() - used));
            if next.is_empty() {
                inbox.pop_front();
            }
            room[used..used + part.len()].copy_from_slice(&part);
            used += part.len();
        }
        let ends = inbox.is_empty() && std::mem::take(&mut said.ending);
        drop(said);
        if ends {
            self.say(hub, |_| {});
        }
        used
    }

    /// Keeps what has come for `take`, if JavaScript wants that or `much` has come, and answers whether nothing was
    /// waiting before. What waits is not overtaken.
    fn put_aside(&self, segments: &mut [Bytes], much: bool) -> Option<bool> {
        let mut said = lock(&self.said);
        if !said.keep && !much && said.inbox.is_empty() {
            return None;
        }
        let news = said.inbox.is_empty();
        said.inbox.extend(segments.iter_mut().map(std::mem::take));
        Some(news)
    }

    pub fn consumed(self: &Arc<Self>, hub: &Hub, bytes: u32) {
        self.say(hub, |said| said.credit += bytes as usize);
    }

    /// Whether an end that was asked for has not reached the peer yet.
    pub fn is_finishing(&self) -> bool {
        let said = lock(&self.said);
        said.finish && !said.send_over
    }

    /// The connection is gone. Called inside the runtime.
    pub fn lost(&self) {
        lock(&self.said).lost = true;
        self.told();
    }

    /// Wakes the task. Called inside the runtime.
    pub fn told(&self) {
        let waker = {
            let mut said = lock(&self.said);
            said.telling = false;
            said.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

type Stopped = Pin<Box<dyn Future<Output = Result<Option<VarInt>, StoppedError>> + Send>>;

enum Sending {
    Open(SendStream),
    /// Finished. A peer that stops such a stream leaves it open, and counted, unless it is then reset.
    Finished(SendStream, Stopped),
}

pub struct StreamTask {
    id: u32,
    hub: Arc<Hub>,
    conn: Arc<Conn>,
    stream: Arc<Stream>,
    send: Option<Sending>,
    recv: Option<RecvStream>,
    /// How the receiving half has ended, while bytes wait to be taken before JavaScript is told.
    ending: Option<Event>,
    out: VecDeque<Bytes>,
    finish: bool,
    /// Bytes that JavaScript has room for. A look at the stream may take a few more.
    credit: isize,
    /// How much was dropped since nobody reads.
    discarded: Option<usize>,
}

impl Future for StreamTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let (reset, stop, lost) = {
            let mut said = lock(&this.stream.said);
            this.out.append(&mut said.out);
            this.finish |= said.finish;
            this.credit += isize::try_from(std::mem::take(&mut said.credit)).unwrap_or(isize::MAX);
            if said.discard && this.discarded.is_none() {
                this.discarded = Some(0);
            }
            if !said.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                said.waker = Some(cx.waker().clone());
            }
            (said.reset.take(), said.stop.take(), said.lost)
        };
        this.poll_send(cx, reset);
        this.poll_recv(cx, stop);
        if lost {
            this.send_lost();
            this.recv_lost();
        }
        if this.send.is_none() && this.recv.is_none() && this.ending.is_none() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl StreamTask {
    fn poll_send(&mut self, cx: &mut Context<'_>, reset: Option<VarInt>) {
        let Some(sending) = &mut self.send else { return };
        if let Some(code) = reset {
            let (Sending::Open(send) | Sending::Finished(send, _)) = sending;
            // It fails when all was delivered: then there is nothing to take back.
            let _ = send.reset(code);
            return self.send_over();
        }
        if let Sending::Open(send) = sending {
            let mut sent = 0;
            while !self.out.is_empty() {
                let before = self.out.len();
                let mut left = self.out.make_contiguous();
                let result = pin!(send.write_many_chunks(&mut left)).poll(cx);
                let remaining = left.len();
                match result {
                    Poll::Pending => break,
                    Poll::Ready(Ok(written)) => {
                        sent += written;
                        self.out.drain(..before - remaining);
                    }
                    Poll::Ready(Err(error)) => return self.send_failed(error),
                }
            }
            if sent > 0 {
                let mut said = lock(&self.stream.said);
                said.queued = said.queued.saturating_sub(sent);
                if said.waited_for && said.queued <= WRITE_MARK / 2 {
                    said.waited_for = false;
                    drop(said);
                    self.hub.push(Event::new(Kind::Drained, self.id, 0));
                }
            }
            if !self.out.is_empty() || !self.finish {
                return;
            }
            let _ = send.finish();
            let stopped = Box::pin(send.stopped());
            if let Some(Sending::Open(send)) = self.send.take() {
                self.send = Some(Sending::Finished(send, stopped));
            }
        }
        if let Some(Sending::Finished(send, stopped)) = &mut self.send {
            match stopped.as_mut().poll(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(Some(code))) => {
                    let _ = send.reset(code);
                    self.send_over();
                }
                Poll::Ready(_) => self.send_over(),
            }
        }
    }

    fn send_failed(&mut self, error: WriteError) {
        match error {
            WriteError::Stopped(code) => {
                if let Some(Sending::Open(send)) = &mut self.send {
                    // A stopped stream stays open, and counts, until it is reset.
                    let _ = send.reset(code);
                }
                self.send_over();
                self.hub.push(Event::new(Kind::Stopped, self.id, 0).with_code(code.into_inner()));
            }
            WriteError::ConnectionLost(reason) => {
                self.conn.lost(&self.hub, &reason);
                self.send_lost();
            }
            WriteError::ClosedStream | WriteError::ZeroRttRejected => self.send_lost(),
        }
    }

    fn send_lost(&mut self) {
        if let Some(sending) = &self.send {
            let open = matches!(sending, Sending::Open(_));
            self.send_over();
            if open {
                self.hub.push(Event::new(Kind::SendLost, self.id, 0));
            }
        }
    }

    fn send_over(&mut self) {
        self.send = None;
        self.out = VecDeque::new();
        let mut said = lock(&self.stream.said);
        said.send_over = true;
        said.out = VecDeque::new();
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>, stop: Option<VarInt>) {
        if self.ending.is_some() {
            return self.poll_ending(stop.is_some());
        }
        let Some(recv) = &mut self.recv else { return };
        if let Some(code) = stop {
            let _ = recv.stop(code);
            self.recv = None;
            return;
        }
        let mut told = false;
        let mut segments: [Bytes; SEGMENTS] = Default::default();
        while self.discarded.is_some() || self.credit > 0 {
            // Of credit that ends, no more than a segment beyond.
            let most = match self.discarded {
                Some(_) => SEGMENTS,
                None => (self.credit.unsigned_abs() / SEGMENT + 1).min(if told { SEGMENTS } else { TOLD }),
            };
            let read = pin!(recv.read_many_chunks(&mut segments[..most])).poll(cx);
            match read {
                Poll::Pending => return,
                Poll::Ready(Ok(Some(count))) => {
                    let length: usize = segments[..count].iter().map(Bytes::len).sum();
                    if let Some(discarded) = &mut self.discarded {
                        *discarded += length;
                        if *discarded > DISCARD_LIMIT {
                            let _ = recv.stop(VarInt::from_u32(0));
                            self.recv = None;
                            return;
                        }
                        continue;
                    }
                    self.credit -= isize::try_from(length).unwrap_or(isize::MAX);
                    let id = self.id;
                    if let Some(news) = self.stream.put_aside(&mut segments[..count], told) {
                        if news {
                            self.hub.push(Event::new(Kind::Readable, id, 0));
                        }
                        continue;
                    }
                    told = true;
                    self.hub.push_all(
                        segments[..count]
                            .iter_mut()
                            .map(|bytes| Event::new(Kind::Data, id, 0).with_bytes(std::mem::take(bytes))),
                    );
                }
                Poll::Ready(Ok(None)) => return self.recv_over(Event::new(Kind::End, self.id, 0)),
                Poll::Ready(Err(ReadError::Reset(code))) => {
                    return self.recv_over(Event::new(Kind::Reset, self.id, 0).with_code(code.into_inner()));
                }
                Poll::Ready(Err(ReadError::ConnectionLost(reason))) => {
                    self.conn.lost(&self.hub, &reason);
                    return self.recv_lost();
                }
                Poll::Ready(Err(_)) => return self.recv_lost(),
            }
        }
    }

    /// The end is told once nothing waits before it, or never, if nobody reads.
    fn poll_ending(&mut self, stopped: bool) {
        if stopped || self.discarded.is_some() {
            lock(&self.stream.said).inbox = VecDeque::new();
            self.ending = None;
        } else if lock(&self.stream.said).inbox.is_empty() {
            self.hub.push_all(self.ending.take());
        }
    }

    fn recv_over(&mut self, event: Event) {
        self.recv = None;
        if self.discarded.is_some() {
            return;
        }
        let mut said = lock(&self.stream.said);
        said.ending = !said.inbox.is_empty();
        if said.ending {
            self.ending = Some(event);
        } else {
            drop(said);
            self.hub.push(event);
        }
    }

    fn recv_lost(&mut self) {
        let lost = self.recv.take().map(|_| Event::new(Kind::RecvLost, self.id, 0));
        let Some(event) = self.ending.take().or(lost) else { return };
        let left = std::mem::take(&mut lock(&self.stream.said).inbox);
        if self.discarded.is_none() {
            let id = self.id;
            // Nobody finds the stream any more to take what is left.
            let data = left.into_iter().map(|bytes| Event::new(Kind::Data, id, 0).with_bytes(bytes));
            self.hub.push_all(data.chain([event]));
        }
    }
}

impl Drop for StreamTask {
    fn drop(&mut self) {
        lock(&self.hub.streams).remove(&self.id);
        self.conn.remove_stream(self.id);
    }
}
