//! Runs functions in containers with `sam local invoke`, where they reach the local AWS and the git host.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use deployed_stack::Stack;
use serde_json::Value;
use shell::process;
use shell::progress::Progress;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use crate::Error;
use crate::aws::LocalAws;
use crate::sam;

/// Runs functions in containers, against a local AWS that listens on the loopback alone.
#[derive(Debug)]
pub struct Containers {
    /// This machine's address in the network of the containers.
    host: IpAddr,
    functions: sam::Functions,
    progress: Progress,
    _forward: Forward,
}

/// A port of the loopback that containers reach, until this is dropped.
pub type Forward = AbortOnDropHandle<()>;

impl Containers {
    /// Makes the local AWS reachable for containers. `host` is this machine's address in their network. `arguments` are
    /// further arguments of `sam local invoke`.
    ///
    /// # Errors
    /// Returns an error if the address cannot be listened on.
    pub async fn reach(
        local: &LocalAws,
        host: IpAddr,
        arguments: Vec<String>,
        progress: Progress,
    ) -> Result<Self, Error> {
        let port = local.record.ministack.port;
        let endpoint = format!("http://{host}:{port}");
        Ok(Self {
            host,
            functions: local.functions(&variables(&local.stack()?, endpoint)?, arguments)?,
            progress,
            _forward: forward(host, port).await?,
        })
    }

    /// Returns the URL at which containers reach `port` of the loopback, once it is forwarded.
    #[must_use]
    pub fn url(&self, port: u16) -> String {
        format!("http://{}:{port}", self.host)
    }

    /// Lets containers reach `port` of the loopback.
    ///
    /// # Errors
    /// Returns an error if the port cannot be listened on.
    pub async fn forward(&self, port: u16) -> Result<Forward, Error> {
        forward(self.host, port).await
    }

    /// Runs a function, named as in the template without `Function`, and returns its response.
    ///
    /// # Errors
    /// Returns an error if it does not run, or fails.
    pub async fn invoke(&self, name: &str, event: &Value) -> Result<Value, Error> {
        let step = self
            .progress
            .step(format!("Running {name} in a container with sam local invoke"));
        let answer = self.functions.invoke(name, event).await?;
        if let Some(error) = answer["errorType"].as_str() {
            return Err(Error::FunctionFailed {
                function: name.to_owned(),
                error: error.to_owned(),
                cause: answer["errorMessage"].as_str().unwrap_or_default().to_owned(),
            });
        }
        step.done(&format!("{name} has responded"));
        Ok(answer)
    }
}

/// The variables of all functions. `sam local invoke` passes to each function those that the template sets for it.
pub const VARIABLES: [&str; 11] = [
    "AUDIT_RETENTION_DAYS",
    "BASE_DAYS",
    "CHECKPOINT_KEY_ARN",
    "EXECUTIONS_URL",
    "LOCAL_ENDPOINT_URL",
    "SECRET_PREFIX",
    "SIGNING_KEY_ARN",
    "SOURCES_PATH",
    "STAGING_BUCKET",
    "STATE_MACHINE_ARN",
    "TABLE_NAME",
];

/// The URL of executions in the console, which the local AWS does not have.
const EXECUTIONS_URL: &str = "https://console.aws.amazon.com/states/home#/v2/executions/details/";

fn variables(stack: &Stack, endpoint: String) -> Result<BTreeMap<&'static str, String>, Error> {
    let output = |name| stack.output(name).map(str::to_owned);
    let values = [
        "0".to_owned(),
        "30".to_owned(),
        output("CheckpointKeyArn")?,
        EXECUTIONS_URL.to_owned(),
        endpoint,
        stack.secret_prefix()?,
        output("ProvenanceKeyArn")?,
        stack.sources_path()?,
        output("StagingBucketName")?,
        output("StateMachineArn")?,
        output("TableName")?,
    ];
    Ok(VARIABLES.into_iter().zip(values).collect())
}

/// Returns the address of this machine in Docker's network `bridge`.
///
/// # Errors
/// Returns an error if no container engine responds, or if it names no address.
pub async fn gateway() -> Result<IpAddr, Error> {
    let mut docker = process::command("docker");
    docker.args([
        "network",
        "inspect",
        "bridge",
        "--format",
        "{{range .IPAM.Config}}{{.Gateway}} {{.Subnet}} {{end}}",
    ]);
    let no_engine = |message: String| Error::NoContainerEngine { message };
    let output = docker
        .output()
        .await
        .map_err(|error| no_engine(error.to_string()))?;
    if !output.status.success() {
        return Err(no_engine(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ));
    }
    gateway_of(&String::from_utf8_lossy(&output.stdout)).ok_or(Error::NoGateway)
}

/// Returns the gateway of a network with these gateways and subnets.
///
/// A Docker that has just made its bridge names the subnet alone, and the gateway only after it was started again.
/// Until then the gateway is the subnet's first address.
fn gateway_of(addresses: &str) -> Option<IpAddr> {
    let mut words = addresses.split_whitespace();
    words.clone().find_map(|text| text.parse().ok()).or_else(|| {
        let subnet: Ipv4Addr = words.find_map(|text| text.split_once('/')?.0.parse().ok())?;
        Some(Ipv4Addr::from(u32::from(subnet) + 1).into())
    })
}

async fn forward(host: IpAddr, port: u16) -> Result<Forward, Error> {
    let listener = TcpListener::bind((host, port))
        .await
        .map_err(|source| Error::Forward { host, port, source })?;
    let serve = async move {
        loop {
            // An error concerns one connection alone.
            let Ok((mut container, _)) = listener.accept().await else {
                continue;
            };
            tokio::spawn(async move {
                let Ok(mut own) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
                    return;
                };
                // Both sides notice on their own that the connection has ended.
                let _ = tokio::io::copy_bidirectional(&mut container, &mut own).await;
            });
        }
    };
    Ok(AbortOnDropHandle::new(tokio::spawn(serve)))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_port_of_the_loopback_is_reached_at_another_address_until_it_is_dropped() {
        let host = IpAddr::from([127, 0, 0, 2]);
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = server.local_addr().unwrap().port();
        let forward = forward(host, port).await.unwrap();
        let mut client = TcpStream::connect((host, port)).await.unwrap();
        let (mut served, _) = server.accept().await.unwrap();
        client.write_all(b"ask").await.unwrap();
        let mut asked = [0; 3];
        served.read_exact(&mut asked).await.unwrap();
        served.write_all(b"answer").await.unwrap();
        drop(served);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!((&asked, answer.as_str()), (b"ask", "answer"));
        drop(forward);
        let refused = async {
            while TcpStream::connect((host, port)).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(5), refused)
            .await
            .unwrap();
    }

    #[test]
    fn a_gateway_that_docker_does_not_name_is_the_first_address() {
        for (addresses, expected) in [
            ("172.17.0.1 172.17.0.0/16 \n", Some([172, 17, 0, 1])),
            (" 172.18.0.0/16 \n", Some([172, 18, 0, 1])),
            ("10.0.0.254 10.0.0.0/24 fd00::/64", Some([10, 0, 0, 254])),
            ("\n", None),
        ] {
            assert_eq!(gateway_of(addresses), expected.map(IpAddr::from), "{addresses:?}");
        }
    }
}
