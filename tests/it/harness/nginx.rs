//! nginx as a process, with the very configuration that the documentation gives as an example.

use tempfile::TempDir;
use tokio::process::Command;

use super::process::Process;
use super::redis::free_port;
use super::servers::NGINX;

const EXAMPLE: &str = include_str!("../../../examples/nginx/nginx.conf");

/// A running nginx. It ends when this is dropped.
pub struct Nginx {
    pub origin: String,
    _process: Process,
    _folder: TempDir,
}

impl Nginx {
    /// Starts it in front of an app and a `tessera forward-auth` on these addresses; none when nginx is not configured.
    pub async fn start(app: &str, forward_auth: &str) -> Option<Self> {
        let program = NGINX.configured()?;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        let address = format!("127.0.0.1:{}", free_port());
        // Nothing but addresses is changed. Folders for temporary files are added, since the usual ones belong to root.
        let mut text = EXAMPLE.to_owned();
        for (example, here) in [("127.0.0.1:8080", address.as_str()), ("127.0.0.1:9180", forward_auth), ("127.0.0.1:3000", app)] {
            // Once in the comment at its head, and once where it counts.
            assert_eq!(text.matches(&format!(" {example}")).count(), 2, "{example}");
            text = text.replace(example, here);
        }
        let folders: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {path}/{name};\n"))
            .concat();
        let text = text.replacen("http {", &format!("http {{\naccess_log off;\n{folders}"), 1);
        let configuration = folder.path().join("nginx.conf");
        std::fs::write(&configuration, text).unwrap();
        let mut command = Command::new(program);
        command.args(["-e", "stderr", "-p", &path, "-c", &configuration.display().to_string()]);
        // One process, so that nothing is left when it is killed.
        command.args(["-g", &format!("daemon off; master_process off; error_log stderr notice; pid {path}/pid;")]);
        let process = Process::spawn(command);
        // It says so after it has bound its sockets.
        process.line_with("getrlimit(RLIMIT_NOFILE)").await;
        Some(Self { origin: format!("http://{address}"), _process: process, _folder: folder })
    }
}
