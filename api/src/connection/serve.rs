//! The loop that accepts connections, and what each of them may take.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::patient::Patient;

/// Connections at once; more wait to be accepted.
const MOST: usize = 10_000;
/// How long the head of a request may take, and an idle connection stay.
const HEAD: Duration = Duration::from_secs(75);
/// How long a client may take nothing of an answer.
const UNREAD: Duration = Duration::from_secs(30);
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// After the system could not give a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers connections until `stopping` says so, and then those that are at work until they are done.
pub async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, router: Router, stopping: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(MOST));
    // Nothing is ever sent: each connection holds a sender, and the last one that goes ends the wait.
    let (at_work, mut all_done) = mpsc::channel::<()>(1);
    let mut stopped = stopping.clone();
    loop {
        let accepted = async {
            let permit = room.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = told(&mut stopped) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Most often too many open files: closing ones will make room.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // Answers are written whole; waiting for more to send would only hold them back.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the connection keeps its delay");
        }
        let (tls, router, stopping, at_work) = (tls.clone(), router.clone(), stopping.clone(), at_work.clone());
        tokio::spawn(async move {
            let outcome = match tls {
                None => answer(stream, peer, router, stopping).await,
                Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                    Ok(Ok(stream)) => answer(stream, peer, router, stopping).await,
                    Ok(Err(error)) => Err(error.to_string()),
                    Err(_) => Err("the TLS handshake took too long".to_owned()),
                },
            };
            if let Err(reason) = outcome {
                tracing::debug!(%peer, reason, "a connection ended");
            }
            drop((permit, at_work));
        });
    }
    drop((listener, at_work));
    let _ = all_done.recv().await;
}

async fn answer<S>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(Patient::new(stream, UNREAD)), service);
    let mut connection = pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = told(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    outcome.map_err(|error| error.to_string())
}

/// Completes when it is time to stop, also because whoever would say so is gone.
async fn told(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopped| *stopped).await;
}
