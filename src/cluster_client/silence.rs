//! Why no answer came, in words that a person can act on.

use std::error::Error;

use super::ClusterError;
use super::kubeconfig::configuration;

/// A call that ended without an answer.
pub(super) fn no_answer(server: &str, error: &kube::Error) -> ClusterError {
    if let kube::Error::Auth(error) = error {
        return credentials(error);
    }
    let said = chain(error);
    if let Some(found) = said.find("invalid peer certificate") {
        return certificate(server, &said[found..]);
    }
    // The plugin of a kubeconfig runs again when its token ends, in the middle of a call.
    if let kube::Error::Service(inner) = error
        && let Some(error) = inner.downcast_ref::<kube::client::AuthError>()
    {
        return credentials(error);
    }
    ClusterError::Unreachable { server: server.to_owned(), message: said }
}

fn certificate(server: &str, said: &str) -> ClusterError {
    // Authorities of two clusters have one name, and other keys.
    if said.contains("UnknownIssuer") || said.contains("BadSignature") {
        let message = format!("{server} shows a certificate of an authority that the kubeconfig does not name");
        return configuration(message, "take certificate-authority-data from a current kubeconfig of that cluster");
    }
    if said.contains("not valid for name") || said.contains("NotValidForName") {
        let message = format!("{server} shows a certificate for another name: {said}");
        return configuration(
            message,
            "use an address that the certificate names, or tls-server-name in the kubeconfig",
        );
    }
    if said.contains("xpired") {
        let message = format!("{server} shows a certificate that has expired, or this machine's clock is wrong");
        return configuration(message, "renew the server's certificate, or set the clock");
    }
    configuration(
        format!("{server} shows a certificate that is not believed: {said}"),
        "see the cluster's own kubeconfig",
    )
}

/// What a plugin printed may be a token, and so may its arguments: only what it said on standard error is repeated, and not much of it.
pub(super) fn credentials(error: &kube::client::AuthError) -> ClusterError {
    use kube::client::AuthError;
    let cure = "run the command of the kubeconfig's `exec` by hand, or `kubectl get namespaces`";
    match error {
        AuthError::AuthExecRun { out, .. } => {
            let said = String::from_utf8_lossy(&out.stderr);
            let said: String = said.trim().chars().take(300).collect();
            configuration(format!("the credential plugin of the kubeconfig failed ({}): {said}", out.status), cure)
        }
        AuthError::AuthExecStart(error) => configuration(
            format!("the credential plugin of the kubeconfig cannot be started: {error}"),
            "install it, or put it on PATH",
        ),
        AuthError::AuthExecParse(_) | AuthError::ParseTokenKey(_) => {
            configuration("the credential plugin of the kubeconfig printed something else than credentials", cure)
        }
        AuthError::ReadTokenFile(error, path) => configuration(
            format!("the token file {} cannot be read: {error}", path.display()),
            match path.starts_with("/var/run/secrets/kubernetes.io/serviceaccount") {
                true => "let the pod have its token: automountServiceAccountToken: true",
                false => "see whether the file is there, and whose it is",
            },
        ),
        error => configuration(format!("the kubeconfig's credentials cannot be used: {error}"), cure),
    }
}

/// An error with all its causes; none is said twice.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.contains(&text) {
            said.push_str(": ");
            said.push_str(&text);
        }
        cause = error.source();
    }
    said
}
