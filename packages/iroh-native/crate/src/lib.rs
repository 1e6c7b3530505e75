//! An iroh endpoint for Node. Connections and streams are numbers, commands are synchronous, and answers come as
//! events, many with one call into JavaScript.

mod connection;
mod delivery;
mod endpoint;
mod hub;
#[cfg(target_os = "linux")]
mod inline;
mod silence;
mod stream;
mod threaded;
#[cfg(target_os = "linux")]
mod uv;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use blake3::hazmat::{HasherExt, max_subtree_len};
use iroh::endpoint::VarInt;
use napi::bindgen_prelude::*;
use napi::{Env, JsValue};
use napi_derive::napi;

use connection::Conn;
use delivery::Delivery;
use endpoint::{Relay, Setup, Target};
use hub::{Hub, lock};
use stream::Stream;

/// What an endpoint is made of.
#[napi(object)]
pub struct EndpointOptions {
    /// `ip:port` for each socket.
    pub addresses: Vec<String>,
    pub alpns: Vec<String>,
    /// 32 bytes; by default a new key.
    pub secret_key: Option<Uint8Array>,
    /// "default", "staging", "disabled", or "custom" for `relays`.
    pub relay: String,
    pub relays: Vec<String>,
    /// Whether the local router is asked for a port mapping.
    pub map_ports: bool,
    /// Whether the tasks run on a thread of their own, and not on Node's event loop.
    pub threaded: bool,
    /// Microseconds to wait for an answer without letting the processor sleep.
    pub spin: u32,
    /// Unread bytes that a stream may have here and in JavaScript.
    pub window: u32,
}

/// An endpoint. See `src/internal/native.ts` for what the numbers mean.
#[napi]
pub struct NativeEndpoint {
    hub: Arc<Hub>,
    #[cfg(target_os = "linux")]
    inline: Option<Arc<inline::Shared>>,
    fallback: Option<String>,
}

fn code(number: f64) -> VarInt {
    // The cast saturates. JavaScript says integers up to 2^53 - 1.
    VarInt::from_u64(number as u64).unwrap_or(VarInt::MAX)
}

#[napi]
impl NativeEndpoint {
    /// Begins to open an endpoint. `on_events` is called with a count and a buffer; `meta` holds 8 numbers an event.
    #[napi(factory)]
    pub fn bind(env: Env, options: EndpointOptions, meta: Unknown, on_events: Unknown) -> Result<Self> {
        let failed = |text: String| Error::new(Status::GenericFailure, text);
        let secret_key = match options.secret_key {
            None => None,
            Some(key) => {
                Some(<[u8; 32]>::try_from(&*key).map_err(|_| failed("a secret key has 32 bytes".into()))?)
            }
        };
        let setup = Setup {
            addresses: options.addresses,
            alpns: options.alpns.into_iter().map(String::into_bytes).collect(),
            secret_key,
            relay: match options.relay.as_str() {
                "disabled" => Relay::Disabled,
                "staging" => Relay::Staging,
                "custom" => Relay::Custom(options.relays),
                _ => Relay::Default,
            },
            map_ports: options.map_ports,
            window: options.window,
        };
        if on_events.get_type()? != ValueType::Function || !meta.is_typedarray()? {
            return Err(failed("bind takes options, an Int32Array and a function".into()));
        }
        // SAFETY: both are values of this environment, which is the calling thread's.
        let delivery = unsafe { Delivery::new(env.raw(), on_events.raw(), meta.raw()) }
            .ok_or_else(|| failed("the environment takes no references".into()))?;

        #[cfg(target_os = "linux")]
        let (ready, fallback) = match (!options.threaded).then(inline::prepare) {
            None => (None, None),
            Some(Ok(ready)) => (Some(ready), None),
            Some(Err(why)) => (None, Some(why)),
        };
        #[cfg(target_os = "linux")]
        if let Some(ready) = ready {
            let hub = Arc::new(Hub::new(options.window, false));
            let first = Box::pin(endpoint::bind(hub.clone(), setup));
            let spin = std::time::Duration::from_micros(u64::from(options.spin));
            // SAFETY: `env` is the calling thread's, and the delivery its.
            let shared = unsafe { inline::start(env.raw(), hub.clone(), delivery, ready, spin, first) };
            return Ok(Self { hub, inline: Some(shared.map_err(failed)?), fallback: None });
        }
        #[cfg(not(target_os = "linux"))]
        let fallback =
            (!options.threaded).then(|| "only Linux lets libuv watch what the tasks wait for".to_owned());

        let hub = Arc::new(Hub::new(options.window, true));
        let first = Box::pin(endpoint::bind(hub.clone(), setup));
        // SAFETY: as above.
        unsafe { threaded::start(env.raw(), hub.clone(), delivery, first) }.map_err(failed)?;
        Ok(Self {
            hub,
            #[cfg(target_os = "linux")]
            inline: None,
            fallback,
        })
    }

    /// Why the tasks run on a thread of their own although that was not asked for.
    #[napi(getter)]
    pub fn fallback(&self) -> Option<String> {
        self.fallback.clone()
    }

    /// The relay's URL, or nothing, and then the direct addresses.
    #[napi]
    pub fn addr(&self) -> Vec<String> {
        let Some(endpoint) = lock(&self.hub.endpoint).clone() else { return vec![String::new()] };
        let addr = endpoint.addr();
        let relay = addr.relay_urls().next().map(ToString::to_string).unwrap_or_default();
        std::iter::once(relay).chain(addr.ip_addrs().map(ToString::to_string)).collect()
    }

    #[napi]
    pub fn set_alpns(&self, alpns: Vec<String>) {
        if let Some(endpoint) = &*lock(&self.hub.endpoint) {
            endpoint.set_alpns(alpns.into_iter().map(String::into_bytes).collect());
        }
    }

    /// `request` is answered by an event.
    #[napi]
    pub fn connect(
        &self,
        id: &[u8],
        relay: Option<String>,
        addresses: Vec<String>,
        alpn: String,
    ) -> Result<u32> {
        let id = <[u8; 32]>::try_from(id)
            .map_err(|_| Error::new(Status::InvalidArg, "an endpoint id has 32 bytes".to_owned()))?;
        let request = self.hub.next_id();
        let target = Target { id, relay, addresses, alpn: alpn.into_bytes() };
        endpoint::connect(&self.hub, request, target);
        Ok(request)
    }

    #[napi]
    pub fn accept_incoming(&self, credits: u32) {
        self.hub.incoming_credit.fetch_add(credits, Ordering::AcqRel);
        self.hub.incoming_more.notify_one();
    }

    /// Goes on with the handshake; answered by an event.
    #[napi]
    pub fn take_incoming(&self, attempt: u32) {
        endpoint::take_attempt(&self.hub, attempt);
    }

    #[napi]
    pub fn challenge_incoming(&self, attempt: u32) -> bool {
        endpoint::challenge_attempt(&self.hub, attempt)
    }

    fn conn(&self, conn: u32) -> Option<Arc<Conn>> {
        lock(&self.hub.conns).get(&conn).cloned()
    }

    fn stream(&self, stream: u32) -> Option<Arc<Stream>> {
        lock(&self.hub.streams).get(&stream).cloned()
    }

    /// A stream, or 0: then an event brings it.
    #[napi]
    pub fn open(&self, conn: u32, bi: bool) -> u32 {
        self.conn(conn).map_or(0, |conn| conn.open(&self.hub, bi))
    }

    #[napi]
    pub fn accept_streams(&self, conn: u32, bi: bool, credits: u32) {
        if let Some(conn) = self.conn(conn) {
            conn.accept(&self.hub, bi, credits);
        }
    }

    #[napi]
    pub fn close_connection(&self, conn: u32, number: f64, reason: &[u8]) {
        if let Some(conn) = self.conn(conn) {
            conn.close_soon(&self.hub, code(number), reason.to_vec());
        }
    }

    /// Bytes that have come from the peer.
    #[napi]
    pub fn bytes_received(&self, conn: u32) -> f64 {
        self.conn(conn).map_or(0.0, |conn| conn.inner.stats().udp_rx.bytes as f64)
    }

    /// How many bytes are queued now; -1 when nobody will send them.
    #[napi]
    pub fn write(&self, stream: u32, bytes: &[u8]) -> i64 {
        self.stream(stream).map_or(-1, |stream| stream.write(&self.hub, bytes, false))
    }

    #[napi]
    pub fn finish(&self, stream: u32) {
        if let Some(stream) = self.stream(stream) {
            stream.write(&self.hub, &[], true);
        }
    }

    #[napi]
    pub fn reset(&self, stream: u32, number: f64) {
        if let Some(stream) = self.stream(stream) {
            stream.reset(&self.hub, code(number));
        }
    }

    #[napi]
    pub fn stop(&self, stream: u32, number: f64) {
        if let Some(stream) = self.stream(stream) {
            stream.stop(&self.hub, code(number));
        }
    }

    #[napi]
    pub fn discard(&self, stream: u32) {
        if let Some(stream) = self.stream(stream) {
            stream.discard(&self.hub);
        }
    }

    /// From now on the stream's bytes are not told but wait to be taken.
    #[napi]
    pub fn keep(&self, stream: u32) {
        if let Some(stream) = self.stream(stream) {
            stream.keep(&self.hub);
        }
    }

    /// Moves bytes that wait to `room` and answers how many those are.
    #[napi]
    pub fn take(&self, stream: u32, mut room: Uint8ArraySlice) -> u32 {
        // SAFETY: JavaScript waits for this call, and no other thread has the array.
        let room = unsafe { room.as_mut() };
        let taken = self.stream(stream).map_or(0, |stream| stream.take(&self.hub, room));
        u32::try_from(taken).unwrap_or(u32::MAX)
    }

    /// JavaScript has room for so many more bytes.
    #[napi]
    pub fn consumed(&self, stream: u32, bytes: u32) {
        if let Some(stream) = self.stream(stream) {
            stream.consumed(&self.hub, bytes);
        }
    }

    /// Sends what was written now, in the middle of JavaScript's turn. Needed by nobody, cheaper for some.
    #[napi]
    pub fn flush(&self) {
        #[cfg(target_os = "linux")]
        if let Some(inline) = &self.inline {
            inline.turn();
        }
    }

    #[napi]
    pub fn close(&self) {
        endpoint::close(&self.hub);
    }

    /// How many connections, streams and connection attempts there are.
    #[napi]
    pub fn alive(&self) -> Vec<u32> {
        self.hub.alive().to_vec()
    }
}

/// The chaining value, 32 bytes, of the BLAKE3 subtree over `bytes` whose first chunk is `chunk`; of the root it is the hash.
#[napi]
pub fn blake3_subtree<'env>(
    env: &'env Env,
    bytes: &[u8],
    chunk: f64,
    root: bool,
) -> Result<Uint8ArraySlice<'env>> {
    let offset = (chunk as u64).saturating_mul(blake3::CHUNK_LEN as u64);
    let cv = if root {
        *blake3::hash(bytes).as_bytes()
    } else if bytes.is_empty() || max_subtree_len(offset).is_some_and(|most| bytes.len() as u64 > most) {
        return Err(Error::new(Status::InvalidArg, "these bytes are no subtree".to_owned()));
    } else {
        blake3::Hasher::new().set_input_offset(offset).update(bytes).finalize_non_root()
    };
    Uint8ArraySlice::copy_from(env, cv)
}

/// Goes up with every change of what this exports and of events that JavaScript has to know; `src/internal/addon.ts` has the same.
#[napi]
pub fn interface_version() -> u32 {
    2
}
