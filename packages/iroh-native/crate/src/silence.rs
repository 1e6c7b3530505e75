//! Peers that are dialled and do not answer, while there are connections to them.
//!
//! iroh sends everything to a peer on the path of the connection that is there, also what begins another one; a peer
//! that was started anew may be elsewhere. So when a dial that knows a new place is not answered, connections to its
//! peer that have fallen silent are given up for it, and it begins again. One task looks at the connections for all
//! dials, so many dials cost no more than one, and those that are answered soon cost nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use iroh::endpoint::{ConnectError, Connection};
use iroh::{Endpoint, EndpointAddr, EndpointId, TransportAddr};
use tokio::sync::Notify;

use crate::connection::Conn;
use crate::endpoint::dialled;
use crate::hub::{Hub, IdMap, lock};

/// A dial that is answered sooner is none of this module's business.
const PATIENCE: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A connection that was sent something and has answered nothing at so many looks in a row, 2.5 seconds, is taken for
/// dead: more than a blocked thread takes until its watchdog answers. Looks are counted and not the time, since a
/// process that was held up itself has to take in first what has come meanwhile.
const SILENT_LOOKS: u32 = 10;

/// The dials of an endpoint that wait for an answer.
#[derive(Default)]
pub struct Unanswered(Mutex<State>);

#[derive(Default)]
struct State {
    peers: HashMap<EndpointId, Waiting>,
    /// Whether the task that looks runs.
    looking: bool,
}

#[derive(Default)]
struct Waiting {
    dials: usize,
    /// Where the peer is said to be, by all of them.
    addrs: BTreeSet<TransportAddr>,
    /// Tells them that what held them up is gone.
    free: Arc<Notify>,
}

/// Dials, anew whenever connections that held it up are gone.
pub async fn dial(
    hub: &Arc<Hub>,
    endpoint: &Endpoint,
    addr: EndpointAddr,
    alpn: &[u8],
) -> Result<Connection, ConnectError> {
    loop {
        let connect = async {
            let connecting = endpoint.connect_with_opts(addr.clone(), alpn, dialled(hub)).await?;
            Ok(connecting.await?)
        };
        tokio::select! {
            connected = connect => return connected,
            () = freed(hub, endpoint, &addr) => {}
        }
    }
}

/// Waits until connections that held up a dial were given up.
async fn freed(hub: &Arc<Hub>, endpoint: &Endpoint, addr: &EndpointAddr) {
    tokio::time::sleep(PATIENCE).await;
    let (_dial, free) = Dial::register(hub, endpoint, addr);
    free.notified().await;
}

/// A dial that waits, until it is dropped.
struct Dial {
    hub: Arc<Hub>,
    peer: EndpointId,
}

impl Dial {
    fn register(hub: &Arc<Hub>, endpoint: &Endpoint, addr: &EndpointAddr) -> (Self, Arc<Notify>) {
        let mut state = lock(&hub.unanswered.0);
        let waiting = state.peers.entry(addr.id).or_default();
        waiting.dials += 1;
        waiting.addrs.extend(addr.addrs.iter().cloned());
        let free = waiting.free.clone();
        if !std::mem::replace(&mut state.looking, true) {
            tokio::spawn(look(hub.clone(), endpoint.clone()));
        }
        (Self { hub: hub.clone(), peer: addr.id }, free)
    }
}

impl Drop for Dial {
    fn drop(&mut self) {
        let mut state = lock(&self.hub.unanswered.0);
        if let Some(waiting) = state.peers.get_mut(&self.peer) {
            waiting.dials -= 1;
            if waiting.dials == 0 {
                state.peers.remove(&self.peer);
            }
        }
    }
}

/// What a connection had sent when it last received something, how much that was, and looks since without an answer.
#[derive(Default)]
struct Heard {
    sent: u64,
    received: u64,
    looks: u32,
}

impl Heard {
    /// Whether this is a look too many.
    fn look(&mut self, sent: u64, received: u64) -> bool {
        if received != self.received {
            *self = Self { sent, received, looks: 0 };
        } else if sent > self.sent {
            self.looks += 1;
        }
        self.looks > SILENT_LOOKS
    }
}

/// Looks at the connections to peers for which a dial waits, until none does.
async fn look(hub: Arc<Hub>, endpoint: Endpoint) {
    let mut known = IdMap::<Heard>::default();
    loop {
        let connections = {
            let mut state = lock(&hub.unanswered.0);
            if state.peers.is_empty() {
                state.looking = false;
                return;
            }
            let conns = lock(&hub.conns);
            let to_them = conns.values().filter(|conn| state.peers.contains_key(&conn.inner.remote_id()));
            to_them.cloned().collect::<Vec<_>>()
        };
        let mut heard = IdMap::default();
        for conn in connections {
            let mut before = known.remove(&conn.id).unwrap_or_default();
            let stats = conn.inner.stats();
            if before.look(stats.udp_tx.datagrams, stats.udp_rx.datagrams) {
                give_up(&hub, &endpoint, &conn);
            }
            heard.insert(conn.id, before);
        }
        known = heard;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Gives up a connection, if the peer may be elsewhere now, and lets the dials begin again.
fn give_up(hub: &Arc<Hub>, endpoint: &Endpoint, conn: &Conn) {
    let state = lock(&hub.unanswered.0);
    let Some(waiting) = state.peers.get(&conn.inner.remote_id()) else { return };
    let paths = conn.inner.paths();
    let is_known =
        |addr| conn.dialled_at.contains(addr) || paths.iter().any(|path| path.remote_addr() == addr);
    // Without a new address nothing would change: that may be a network, or a peer, that is held up for a moment.
    let looked_up = endpoint.address_lookup().is_ok_and(|services| !services.is_empty());
    if looked_up || !waiting.addrs.iter().all(is_known) {
        let free = waiting.free.clone();
        drop(state);
        conn.give_up(hub);
        free.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_sent_nothing_may_be_silent() {
        let mut heard = Heard::default();
        assert!((0..100).all(|_| !heard.look(7, 9)));
    }

    #[test]
    fn who_answers_is_not_given_up() {
        let mut heard = Heard::default();
        assert!((0..100).all(|at| !heard.look(at, at / u64::from(SILENT_LOOKS))));
    }

    #[test]
    fn who_answers_nothing_is_given_up() {
        let mut heard = Heard::default();
        assert!(!heard.look(1, 1));
        assert!((0..SILENT_LOOKS).all(|_| !heard.look(2, 1)));
        assert!(heard.look(2, 1));
    }
}
