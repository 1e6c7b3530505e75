//! The endpoint: binding, taking in, dialling, closing.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use iroh::endpoint::{
    BindError, Builder, ConnectError, ConnectOptions, ConnectWithOptsError, ConnectingError, ConnectionError,
    PortmapperConfig, QuicTransportConfig, VarInt, presets,
};
use iroh::{Endpoint, EndpointAddr, EndpointId, RelayMode, RelayUrl, SecretKey};

use crate::connection::Conn;
use crate::hub::{Event, Failure, Hub, Kind, lock};
use crate::silence;

/// TLS alert 120, no_application_protocol (RFC 7301 section 3.2), as a QUIC error (RFC 9001 section 4.8).
const NO_APPLICATION_PROTOCOL: u64 = 0x0100 + 120;
/// What noq takes of a stream that nobody reads.
const STREAM_WINDOW: u32 = 1_250_000;
const MIN_WINDOW: u32 = 256 * 1024;
/// The first packet for so long is a sign of life, which the other side answers: iroh's own, and the most it allows.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Of the side that dialled. With the same on both, where the clock begins anew with the same packets, both would give a
/// sign at the same moment, and both would answer: twice the packets of a connection that nobody uses.
const DIALLED_KEEP_ALIVE: Duration = Duration::from_millis(4500);
/// Closing waits so long for peers to acknowledge.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(2500);

/// What an endpoint is made of.
pub struct Setup {
    pub addresses: Vec<String>,
    pub alpns: Vec<Vec<u8>>,
    pub secret_key: Option<[u8; 32]>,
    pub relay: Relay,
    pub map_ports: bool,
    /// Unread bytes that a stream may have outside of the transport.
    pub window: u32,
}

pub enum Relay {
    Default,
    Staging,
    Disabled,
    Custom(Vec<String>),
}

/// The number that `Bound`, or the failure to bind, answers.
pub const BIND: u32 = 0;

/// `window`: unread bytes that a stream may have outside of the transport.
fn transport(window: u32, keep_alive: Duration) -> QuicTransportConfig {
    // Together with those a stream takes as much unread as iroh lets it by itself.
    let inside = STREAM_WINDOW.saturating_sub(window).max(MIN_WINDOW);
    QuicTransportConfig::builder()
        .stream_receive_window(VarInt::from_u32(inside))
        .keep_alive_interval(keep_alive)
        .default_path_keep_alive_interval(keep_alive)
        .build()
}

/// What connections that are dialled have of their own.
pub fn dialled(hub: &Hub) -> ConnectOptions {
    ConnectOptions::new().with_transport_config(transport(hub.window, DIALLED_KEEP_ALIVE))
}

fn builder(setup: Setup) -> Result<Builder, (Failure, String)> {
    let mut builder = match setup.relay {
        Relay::Disabled => Endpoint::builder(presets::Minimal).relay_mode(RelayMode::Disabled),
        Relay::Default => Endpoint::builder(presets::N0).relay_mode(RelayMode::Default),
        Relay::Staging => Endpoint::builder(presets::N0).relay_mode(RelayMode::Staging),
        Relay::Custom(urls) => {
            let mut relays = Vec::with_capacity(urls.len());
            for url in urls {
                relays.push(
                    url.parse::<RelayUrl>().map_err(|error| (Failure::BadRelayUrl, error.to_string()))?,
                );
            }
            Endpoint::builder(presets::N0).relay_mode(RelayMode::custom(relays))
        }
    };
    builder = builder.alpns(setup.alpns).transport_config(transport(setup.window, KEEP_ALIVE));
    if let Some(key) = setup.secret_key {
        builder = builder.secret_key(SecretKey::from_bytes(&key));
    }
    if !setup.map_ports {
        builder = builder.portmapper_config(PortmapperConfig::Disabled);
    }
    for address in setup.addresses {
        let parsed: SocketAddr =
            address.parse().map_err(|error| (Failure::Unavailable, format!("{address}: {error}")))?;
        builder = builder.bind_addr(parsed).map_err(|error| (Failure::Unavailable, error.to_string()))?;
    }
    Ok(builder)
}

pub async fn bind(hub: Arc<Hub>, setup: Setup) {
    let bound = match builder(setup) {
        Err(failure) => Err(failure),
        Ok(builder) => builder.bind().await.map_err(|error| bind_failure(&error)),
    };
    match bound {
        Err((failure, text)) => {
            hub.fail(BIND, failure, text);
            hub.finish();
        }
        Ok(endpoint) => {
            let id = endpoint.id().to_string();
            let sockets = endpoint.bound_sockets().into_iter().map(|socket| socket.to_string());
            let about = std::iter::once(id).chain(sockets).collect::<Vec<_>>().join("\n");
            *lock(&hub.endpoint) = Some(endpoint.clone());
            hub.push(Event::new(Kind::Bound, BIND, 0).with_bytes(about.into_bytes()));
            tokio::spawn(take_in(hub, endpoint));
        }
    }
}

fn bind_failure(error: &BindError) -> (Failure, String) {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut text = error.to_string();
    while let Some(error) = cause {
        text = error.to_string();
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            let failure = match io.kind() {
                ErrorKind::AddrInUse => Failure::AddressInUse,
                ErrorKind::AddrNotAvailable => Failure::NotLocal,
                ErrorKind::PermissionDenied => Failure::PermissionDenied,
                _ => Failure::Unavailable,
            };
            return (failure, text);
        }
        cause = error.source();
    }
    (Failure::Unavailable, text)
}

/// Tells of connection attempts as JavaScript has room for them. Until then they wait in the transport, which bounds
/// their number.
async fn take_in(hub: Arc<Hub>, endpoint: Endpoint) {
    use std::sync::atomic::Ordering::{AcqRel, Acquire};
    loop {
        let more = hub.incoming_more.notified();
        let credit = hub.incoming_credit.fetch_update(AcqRel, Acquire, |credit| credit.checked_sub(1));
        if credit.is_err() {
            tokio::select! {
                () = more => continue,
                () = endpoint.closed() => {}
            }
            break;
        }
        let Some(incoming) = endpoint.accept().await else { break };
        let id = hub.next_id();
        let validated = incoming.remote_addr_validated();
        lock(&hub.incoming).insert(id, incoming);
        hub.push(Event::new(Kind::Incoming, id, u32::from(validated)));
    }
    hub.push(Event::new(Kind::NoMore, 0, 0));
}

pub fn take_attempt(hub: &Arc<Hub>, attempt: u32) {
    let Some(incoming) = lock(&hub.incoming).remove(&attempt) else { return };
    let at = hub.clone();
    hub.start(async move {
        let accepted = match incoming.accept() {
            Err(error) => Err(error.to_string()),
            Ok(accepting) => accepting.await.map_err(|error| error.to_string()),
        };
        match accepted {
            Ok(connection) => Conn::register(&at, attempt, connection, [].into()),
            Err(text) => at.fail(attempt, Failure::Refused, text),
        }
    });
}

/// Sends a peer that has not proven its address back to do so. Answers whether that was so; if not the attempt stays.
pub fn challenge_attempt(hub: &Arc<Hub>, attempt: u32) -> bool {
    let Some(incoming) = lock(&hub.incoming).remove(&attempt) else { return true };
    if incoming.remote_addr_validated() {
        lock(&hub.incoming).insert(attempt, incoming);
        return false;
    }
    // Validated addresses, the only reason for it to fail, were kept apart.
    let _ = incoming.retry();
    true
}

pub struct Target {
    pub id: [u8; 32],
    pub relay: Option<String>,
    pub addresses: Vec<String>,
    pub alpn: Vec<u8>,
}

pub fn connect(hub: &Arc<Hub>, request: u32, target: Target) {
    let Some(endpoint) = lock(&hub.endpoint).clone() else {
        return hub.fail(request, Failure::NodeClosed, "the endpoint is closed");
    };
    let addr = match endpoint_addr(&target) {
        Ok(addr) => addr,
        Err(text) => return hub.fail(request, Failure::BadAddress, text),
    };
    let at = hub.clone();
    hub.start(async move {
        let dialled_at = addr.addrs.iter().cloned().collect();
        match silence::dial(&at, &endpoint, addr, &target.alpn).await {
            Ok(connection) => Conn::register(&at, request, connection, dialled_at),
            Err(error) => {
                let (failure, text) = connect_failure(&error);
                at.fail(request, failure, text);
            }
        }
    });
}

fn endpoint_addr(target: &Target) -> Result<EndpointAddr, String> {
    let id = EndpointId::from_bytes(&target.id).map_err(|error| error.to_string())?;
    let mut addr = EndpointAddr::new(id);
    if let Some(relay) = &target.relay {
        addr = addr.with_relay_url(relay.parse::<RelayUrl>().map_err(|error| error.to_string())?);
    }
    for address in &target.addresses {
        addr = addr.with_ip_addr(address.parse().map_err(|error| format!("{address}: {error}"))?);
    }
    Ok(addr)
}

fn connect_failure(error: &ConnectError) -> (Failure, String) {
    match error {
        ConnectError::Connect { source, .. } => match source {
            ConnectWithOptsError::SelfConnect { .. } => (Failure::SelfConnect, source.to_string()),
            ConnectWithOptsError::NoAddress { .. } => (Failure::NoAddress, source.to_string()),
            ConnectWithOptsError::EndpointClosed { .. } => (Failure::NodeClosed, source.to_string()),
            ConnectWithOptsError::InvalidAlpn { .. } => (Failure::Refused, source.to_string()),
            _ => (Failure::Refused, innermost(source)),
        },
        ConnectError::Connecting { source: ConnectingError::ConnectionError { source, .. }, .. }
        | ConnectError::Connection { source, .. } => connection_failure(source),
        other => (Failure::Refused, innermost(other)),
    }
}

fn connection_failure(error: &ConnectionError) -> (Failure, String) {
    let failure = match error {
        ConnectionError::TimedOut => Failure::TimedOut,
        ConnectionError::ConnectionClosed(close)
            if u64::from(close.error_code) == NO_APPLICATION_PROTOCOL =>
        {
            Failure::UnsupportedProtocol
        }
        ConnectionError::TransportError(error) if u64::from(error.code) == NO_APPLICATION_PROTOCOL => {
            Failure::UnsupportedProtocol
        }
        _ => Failure::Refused,
    };
    (failure, error.to_string())
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// Closes the endpoint and lets go of all that it has. The sockets are free once the runtime is gone too.
pub fn close(hub: &Arc<Hub>) {
    let endpoint = lock(&hub.endpoint).take();
    let at = hub.clone();
    hub.start(async move {
        if let Some(endpoint) = endpoint {
            // Connections that were closed just before it keep their own code and reason.
            while at.closing.load(std::sync::atomic::Ordering::Acquire) > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // A peer that is gone does not acknowledge: what is left is dropped then.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, endpoint.close()).await;
        }
        at.finish();
    });
}
