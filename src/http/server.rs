//! The server itself: sockets, workers, time limits of connections, and how it stops.
//!
//! It is put together from the parts of actix-web, because only there can a sender that waits with `Expect: 100-continue` be
//! refused before its body travels (T13): the framework's own server says `100 Continue` before it asks anybody.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Request, Response};
use actix_server::{GracefulShutdownSignal, Server, ServerBuilder};
use actix_service::{
    IntoServiceFactory as _, Service, ServiceFactory, ServiceFactoryExt as _, fn_factory,
    fn_service, map_config,
};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::AppConfig;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, COOKIE};
use actix_web::{HttpMessage as _, ResponseError as _, web};
use tokio::net::{TcpSocket, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::caller::Gate;
use super::dicomweb::stow::admit as admit_store;
use super::http2;
use super::mint::exact::admit as admit_upload;
use super::mint::legacy::{Legacy, app as mint_of_old};
use super::urls::Address;
use super::viewer::Viewer;
use super::{Kura, State};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// What of an answer may wait in the kernel behind what is on its way: enough to keep a line busy until a thread comes back.
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 256 << 10;

/// What an operator says about connections.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads; as many as cores where it is `None`.
    pub workers: Option<usize>,
    /// When an idle connection is closed.
    pub idle: Duration,
    /// By when the head of a request must be there.
    pub head: Duration,
    /// What running requests have left after a stop, in seconds.
    pub shutdown_timeout_s: u64,
    /// How long the address stays open after a stop, while `/health/ready` says 503.
    pub shutdown_delay: Duration,
}

/// Binds every address of `listen`.
///
/// # Errors
/// The last failure, if none could be bound.
pub fn bind(listen: &str) -> io::Result<Vec<TcpListener>> {
    let mut bound = Vec::new();
    let mut failure = None;
    for address in listen.to_socket_addrs()? {
        match bind_one(address) {
            Ok(listener) => bound.push(listener),
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) if bound.is_empty() => Err(error),
        Some(_) | None => Ok(bound),
    }
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    bound_unsent(&socket);
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Bounds what waits in the kernel behind what is on its way, for each connection of a listener: who reads slowly holds that much
/// memory and no more (MINT Z03). A kernel that does not know of it goes by its own limits.
#[cfg(target_os = "linux")]
fn bound_unsent(socket: &TcpSocket) {
    if let Err(error) = socket2::SockRef::from(socket).set_tcp_notsent_lowat(UNSENT_BYTES) {
        tracing::debug!(%error, "what waits in the kernel is not bounded");
    }
}

#[cfg(not(target_os = "linux"))]
fn bound_unsent(_: &TcpSocket) {}

/// Sockets, and what is answered on each.
#[derive(Debug)]
pub struct Doors {
    /// Everything but the viewer.
    pub main: Vec<TcpListener>,
    /// `/metrics` and `/health` alone.
    pub metrics: Vec<TcpListener>,
    /// The viewer and all it asks for, with the address that its readers see.
    pub viewer: Option<(Vec<TcpListener>, Viewer, Address)>,
    /// MINT for clients that know neither TLS nor tokens, for one facility each.
    pub legacy: Vec<(Vec<TcpListener>, Legacy)>,
}

/// Starts the server on its sockets. It runs when it is awaited, until the process is told to
/// stop.
///
/// # Errors
/// If a socket cannot be taken over, or signals cannot be listened to.
pub fn start(
    state: &Kura,
    gate: &web::Data<Gate>,
    settings: &Settings,
    doors: Doors,
) -> io::Result<Server> {
    let stop = stop(state.stopping.clone(), settings.shutdown_delay)?;
    let mut builder = Server::build()
        .shutdown_timeout(settings.shutdown_timeout_s)
        .shutdown_signal(stop);
    if let Some(workers) = settings.workers {
        builder = builder.workers(workers);
    }
    for listener in doors.main {
        builder = serve(builder, state, gate, settings, (listener, None))?;
    }
    if let Some((listeners, viewer, address)) = doors.viewer {
        let state = web::Data::new(state.at(address));
        for listener in listeners {
            let door = (listener, Some(viewer.clone()));
            builder = serve(builder, &state, gate, settings, door)?;
        }
    }
    for (listeners, legacy) in doors.legacy {
        let state = web::Data::new(state.at(Legacy::address()));
        let gate = web::Data::new(legacy.gate(gate));
        let legacy = Arc::new(legacy);
        for listener in listeners {
            let door = (listener, Arc::clone(&legacy));
            builder = serve_legacy(builder, &state, &gate, settings, door)?;
        }
    }
    for listener in doors.metrics {
        builder = serve_metrics(builder, state, settings, listener)?;
    }
    Ok(builder.run())
}

/// A future that ends when the process is told to stop: with the first signal nothing new is taken on and what runs goes
/// on, with the second everything ends at once.
fn stop(stopping: CancellationToken, delay: Duration) -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let runtime = tokio::runtime::Handle::current();
    Ok(async move {
        told(&mut terminate, &mut interrupt).await;
        tracing::info!("stopping: requests in flight are finished; a second signal stops at once");
        stopping.cancel();
        runtime.spawn(async move {
            told(&mut terminate, &mut interrupt).await;
            tracing::warn!("stopped at once: requests in flight were cut off");
            std::process::exit(1);
        });
        tokio::time::sleep(delay).await;
    })
}

async fn told(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

fn serve(
    builder: ServerBuilder,
    state: &Kura,
    gate: &web::Data<Gate>,
    settings: &Settings,
    (listener, viewer): (TcpListener, Option<Viewer>),
) -> io::Result<ServerBuilder> {
    let address = listener.local_addr()?;
    let draining = builder.graceful_shutdown_signal();
    let (state, gate, settings) = (state.clone(), gate.clone(), settings.clone());
    builder.listen("kura", listener, move || {
        let (draining, settings) = (draining.clone(), settings.clone());
        let (state, gate, viewer) = (state.clone(), gate.clone(), viewer.clone());
        fn_factory(move || {
            let app = super::app(state.clone(), gate.clone(), viewer.clone())
                .into_factory()
                .map_err(|error: actix_web::Error| error.error_response());
            let app = map_config(app, move |()| own(address));
            both(
                app,
                (state.clone(), gate.clone()),
                settings.clone(),
                draining.clone(),
                address,
            )
        })
    })
}

/// One application for both protocols; the first bytes of a connection tell which it speaks.
async fn both<F, B>(
    app: F,
    (state, gate): (Kura, web::Data<Gate>),
    settings: Settings,
    draining: GracefulShutdownSignal,
    address: SocketAddr,
) -> Result<impl Service<TcpStream, Response = (), Error = DispatchError>, ()>
where
    F: ServiceFactory<Request, Config = (), InitError = ()> + 'static,
    F::Response: Into<Response<B>>,
    F::Error: Into<Response<BoxBody>>,
    B: MessageBody + 'static,
{
    let app = Rc::new(app.new_service(()).await?);
    let clock = state.archive.clock().clone();
    let expect = move |request: Request| {
        let (gate, state) = (gate.clone(), state.clone());
        async move { may_continue(request, &gate, &state).await }
    };
    let (stopped, shared) = (draining.clone(), Rc::clone(&app));
    let one = HttpService::build()
        .graceful_shutdown_signal(move || {
            let stopped = stopped.clone();
            async move { stopped.notified().await }
        })
        .keep_alive(settings.idle)
        // Else the last piece of an answer waits 40 ms for the client to acknowledge the one before.
        .tcp_nodelay(true)
        .client_request_timeout(settings.head)
        .client_disconnect_timeout(Duration::from_secs(1))
        .h1_allow_half_closed(true)
        .local_addr(address)
        .expect(fn_service(expect.clone()))
        .finish(fn_service(move |request| shared.call(request)))
        .tcp();
    let one = Rc::new(one.new_service(()).await?);
    let two = Rc::new(http2::Door {
        app,
        expect,
        clock,
        head: settings.head,
        idle: settings.idle,
    });
    Ok(fn_service(move |io: TcpStream| {
        let (one, two, draining) = (Rc::clone(&one), Rc::clone(&two), draining.clone());
        async move {
            let is_two = tokio::select! {
                is_two = http2::is_spoken(&io, two.head) => is_two,
                () = draining.notified() => None,
            };
            match is_two {
                Some(true) => {
                    // As above; a socket that does not take it still answers.
                    io.set_nodelay(true).ok();
                    http2::serve(io, &two, draining.notified()).await;
                    Ok(())
                }
                Some(false) => one.call(io).await,
                None => Ok(()),
            }
        }
    }))
}

fn serve_metrics(
    builder: ServerBuilder,
    state: &Kura,
    settings: &Settings,
    listener: TcpListener,
) -> io::Result<ServerBuilder> {
    let address = listener.local_addr()?;
    let draining = builder.graceful_shutdown_signal();
    let (state, settings) = (state.clone(), settings.clone());
    builder.listen("metrics", listener, move || {
        let draining = draining.clone();
        let app = actix_web::App::new()
            .app_data(state.clone())
            .configure(super::metrics::routes)
            .into_factory()
            .map_err(|error: actix_web::Error| error.error_response());
        HttpService::build()
            .graceful_shutdown_signal(move || {
                let draining = draining.clone();
                async move { draining.notified().await }
            })
            .keep_alive(settings.idle)
            .tcp_nodelay(true)
            .client_request_timeout(settings.head)
            .local_addr(address)
            .finish(map_config(app, move |()| own(address)))
            .tcp()
    })
}

/// MINT for clients of old, in HTTP/1.1 alone. Where a connection comes from is looked at before anything is read from it: who
/// comes from elsewhere is told nothing (MINT F05).
fn serve_legacy(
    builder: ServerBuilder,
    state: &Kura,
    gate: &web::Data<Gate>,
    settings: &Settings,
    (listener, legacy): (TcpListener, Arc<Legacy>),
) -> io::Result<ServerBuilder> {
    let address = listener.local_addr()?;
    let draining = builder.graceful_shutdown_signal();
    let (state, gate, settings) = (state.clone(), gate.clone(), settings.clone());
    builder.listen("legacy", listener, move || {
        let (draining, legacy) = (draining.clone(), Arc::clone(&legacy));
        let app = mint_of_old(state.clone(), gate.clone(), Arc::clone(&legacy))
            .into_factory()
            .map_err(|error: actix_web::Error| error.error_response());
        let connections = HttpService::build()
            .graceful_shutdown_signal(move || {
                let draining = draining.clone();
                async move { draining.notified().await }
            })
            .keep_alive(settings.idle)
            .tcp_nodelay(true)
            .client_request_timeout(settings.head)
            .client_disconnect_timeout(Duration::from_secs(1))
            .h1_allow_half_closed(true)
            .local_addr(address)
            .finish(map_config(app, move |()| own(address)))
            .tcp();
        fn_factory(move || {
            let connections = connections.new_service(());
            let legacy = Arc::clone(&legacy);
            async move {
                let connections = Rc::new(connections.await?);
                Ok::<_, ()>(fn_service(move |io: TcpStream| {
                    let (connections, legacy) = (Rc::clone(&connections), Arc::clone(&legacy));
                    async move {
                        if comes_from_within(&io, &legacy) {
                            return connections.call(io).await;
                        }
                        Ok(())
                    }
                }))
            }
        })
    })
}

/// Whether a connection may be taken; one that may not leaves a line in the log.
fn comes_from_within(io: &TcpStream, legacy: &Legacy) -> bool {
    let from = io.peer_addr().map(|from| from.ip().to_canonical());
    let is_within = from.as_ref().is_ok_and(|from| legacy.lets_in(*from));
    if let (false, Ok(from)) = (is_within, &from) {
        tracing::warn!(
            %from,
            facility = %legacy.facility,
            "a connection to a legacy listener was closed: it comes from none of its networks"
        );
    }
    is_within
}

/// What the application is told about the address it is reached by; links are made from it where nothing else says.
fn own(address: SocketAddr) -> AppConfig {
    // The one constructor that there is for servers of one's own.
    AppConfig::__priv_test_new(false, address.to_string(), address)
}

/// Whether the sender of a head that ends with `Expect: 100-continue` may send the body (T13). What is no store may: its
/// handler decides.
async fn may_continue(
    request: Request,
    gate: &Gate,
    state: &State,
) -> Result<Request, Response<BoxBody>> {
    let path = request.path().trim_end_matches('/');
    let is_upload = path == "/mint/exact/objects";
    let is_store =
        request.method() == Method::POST && (is_upload || path.starts_with("/dicomweb/studies"));
    // A session's cookie is read with the whole request; browsers do not wait for leave.
    let has_session =
        request.headers().contains_key(COOKIE) && !request.headers().contains_key(AUTHORIZATION);
    if is_store && !has_session {
        let query = request.uri().query().unwrap_or_default();
        let admitted = if is_upload {
            admit_upload(gate, state, request.headers()).await
        } else {
            admit_store(gate, state, request.headers(), query).await
        };
        match admitted {
            Ok(place) => drop(request.extensions_mut().insert(place)),
            Err(error) => {
                tracing::info!(kind = ?error.kind(), "a store was refused before its body");
                return Err(error.error_response().into());
            }
        }
    }
    Ok(request)
}
