//! Health and reflection: what every gRPC server answers, from tonic's own crates.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use csroute_wire::{Kind, Method};
use http::{Request, Response};
use hyper::body::Incoming;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, HealthService};

type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;
type Handler = Arc<dyn Fn(Request<Incoming>) -> Answer + Send + Sync>;

/// The standard services by the beginnings of their paths.
#[derive(Clone)]
pub(crate) struct Standard {
    handlers: Arc<[(&'static str, Handler)]>,
}

impl Standard {
    /// With this health.
    pub fn new(health: &HealthReporter) -> Result<Self, tonic_reflection::server::Error> {
        let builder = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(csroute_wire::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let health = HealthService::from_health_reporter(health.clone());
        let health = tonic_health::pb::health_server::HealthServer::new(health);
        Ok(Self {
            handlers: Arc::new([
                ("/grpc.health.v1.Health/", handler(health)),
                ("/grpc.reflection.v1.ServerReflection/", handler(builder().build_v1()?)),
                (
                    "/grpc.reflection.v1alpha.ServerReflection/",
                    handler(builder().build_v1alpha()?),
                ),
            ]),
        })
    }

    /// Answers; what nobody knows is UNIMPLEMENTED.
    pub async fn call(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        match self.handlers.iter().find(|(prefix, _)| path.starts_with(prefix)) {
            Some((_, handler)) => handler(request).await,
            None => Status::unimplemented(format!("there is no method {path}")).into_http(),
        }
    }
}

fn handler<S>(service: S) -> Handler
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = std::convert::Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    Arc::new(move |request| {
        let answer = service.clone().call(request);
        Box::pin(async move {
            match answer.await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        })
    })
}

/// Says of all services whether they are served.
pub(crate) async fn say(health: &HealthReporter, serving: bool) {
    let status = if serving {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    for service in services() {
        health.set_service_status(service, status).await;
    }
}

/// The services, and the whole as "".
fn services() -> std::collections::BTreeSet<&'static str> {
    let rpcs = Method::ALL.iter().filter(|method| method.kind() != Kind::Internal);
    rpcs.filter_map(|method| method.path().split('/').nth(1))
        .chain([""])
        .collect()
}
