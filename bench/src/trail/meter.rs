//! Listens to what the SDK says to DynamoDB.

use std::sync::{Arc, Mutex, PoisonError};

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

/// A request and its response.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The operation, such as `Query`.
    pub operation: String,
    /// The body of the request.
    pub request: Vec<u8>,
    /// The body of the response.
    pub response: Vec<u8>,
}

/// The exchanges of a client.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

impl Meter {
    /// Returns a configuration whose clients this meter listens to.
    pub fn listening_to(&self, config: &SdkConfig) -> SdkConfig {
        let mut metered = config.to_builder();
        metered.set_http_client(config.http_client().map(|inner| {
            SharedHttpClient::new(Metered {
                inner: inner.clone(),
                meter: self.clone(),
            })
        }));
        metered.build()
    }

    /// Returns the exchanges since the last call.
    pub fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut *self.exchanges.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, exchange: Exchange) {
        self.exchanges
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(exchange);
    }
}

#[derive(Debug)]
struct Metered {
    inner: SharedHttpClient,
    meter: Meter,
}

impl HttpClient for Metered {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(MeteredConnector {
            inner: self.inner.http_connector(settings, components),
            meter: self.meter.clone(),
        })
    }
}

#[derive(Debug)]
struct MeteredConnector {
    inner: SharedHttpConnector,
    meter: Meter,
}

impl HttpConnector for MeteredConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body = request.body().bytes().unwrap_or_default().to_vec();
        let (inner, meter) = (self.inner.clone(), self.meter.clone());
        HttpConnectorFuture::new(async move {
            let mut response = inner.call(request).await?;
            let stream = std::mem::replace(response.body_mut(), SdkBody::taken());
            let read = ByteStream::new(stream).collect().await;
            let read = read
                .map_err(|error| ConnectorError::io(error.into()))?
                .into_bytes();
            meter.add(Exchange {
                operation,
                request: body,
                response: read.to_vec(),
            });
            *response.body_mut() = SdkBody::from(read);
            Ok(response)
        })
    }
}
