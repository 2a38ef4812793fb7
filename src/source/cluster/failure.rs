//! What went wrong with an API server, as a failure of the source.

use serde::Deserialize;

use crate::cluster_client::{Answer, ClusterError};
use crate::model::{FailureClass, SourceFailure};

/// No answer, or one that is the same for every call.
pub fn failed(error: ClusterError) -> SourceFailure {
    match error {
        ClusterError::Configuration { message, cure } => {
            SourceFailure::new(FailureClass::Configuration, "cluster", message).cure(cure)
        }
        ClusterError::Unreachable { server, message } => {
            SourceFailure::new(FailureClass::Unreachable, server, format!("does not answer: {message}"))
                .cure("see whether the API server runs and can be reached from here: kubectl get --raw /readyz")
        }
        ClusterError::Unauthenticated { server, message } => {
            SourceFailure::new(FailureClass::Authentication, server, format!("does not know who we are: {message}"))
                .cure("the token or certificate has expired or was taken back: log in again, or take a new kubeconfig")
        }
        ClusterError::TooLarge { server, most_bytes } => {
            let message = format!("answers with more than {} MiB at once", most_bytes >> 20);
            SourceFailure::new(FailureClass::ToolFailed, server, message)
        }
        ClusterError::Cancelled => SourceFailure::new(FailureClass::Cancelled, "cluster", "interrupted"),
    }
}

/// An answer that is none to what was asked.
pub fn unexpected(subject: &str, doing: &str, answer: &Answer) -> SourceFailure {
    let class = match answer.status {
        403 => FailureClass::Permission,
        429 | 500.. => FailureClass::Unreachable,
        _ => FailureClass::ToolFailed,
    };
    SourceFailure::new(class, subject, format!("{doing}: {}", said(answer)))
}

/// Status and message of an answer, for a person.
pub fn said(answer: &Answer) -> String {
    match message(answer) {
        Some(message) => format!("{} ({})", message, answer.status),
        None => format!("HTTP {}", answer.status),
    }
}

/// What a `Status` says.
fn message(answer: &Answer) -> Option<String> {
    #[derive(Deserialize)]
    struct Status {
        #[serde(default)]
        message: String,
    }
    let status: Status = serde_json::from_slice(&answer.body).ok()?;
    let text: String = status.message.chars().take(500).collect();
    (!text.is_empty()).then_some(text)
}
