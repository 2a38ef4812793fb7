//! What it means for a plan that the server would refuse an object. Pure.

use crate::cluster_client::Answer;
use crate::source::cluster::restore::client::message;
use crate::source::cluster::restore::outcome::Outcome;

/// What becomes of a row after the server was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is as the backup says: what differs is what the server itself fills in.
    Same,
    /// The prediction stands, and a person should know this.
    Note(String),
    /// It is `blocked` or `conflict`.
    Is { outcome: Outcome, reason: String, cure: String },
}

/// What of the plan happens before an object is written, and may turn a refusal into a yes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Before {
    /// Its namespace, its definition or the limits of its namespace are set back first.
    pub surroundings_change: bool,
    /// Something else is made first, which it may refer to.
    pub something_is_made: bool,
}

/// More of a server's words than this helps nobody.
const WORDS: usize = 600;

pub(super) fn refused(ruled: Outcome, answer: &Answer, before: Before) -> Verdict {
    let words = cut(&message(answer));
    if answer.status == 400 && words.contains("does not support dry run") {
        return Verdict::Note(format!("a webhook cannot be asked beforehand whether it takes this: {words}"));
    }
    let misses = answer.status == 404 || misses(&words);
    if before.surroundings_change || misses && before.something_is_made {
        return Verdict::Note(format!(
            "the server would refuse it now, and perhaps not after what is restored before it: {words}"
        ));
    }
    let by_admission = words.contains("denied request") || words.contains("denied the request");
    if ruled == Outcome::Patch && answer.status == 422 && !by_admission {
        let cure = "delete it by hand, then restore once more; or leave it as it is";
        return Verdict::Is { outcome: Outcome::Conflict, reason: said(&words), cure: cure.into() };
    }
    Verdict::Is { outcome: Outcome::Blocked, reason: said(&words), cure: cure(answer.status, &words).into() }
}

/// The server failed each time that it was asked.
pub(super) fn failed(words: &str) -> Verdict {
    let words = cut(words);
    if words.contains("failed calling webhook") {
        let cure = "bring up what answers for the webhook, or delete its configuration: a restore of the backup brings \
                    it back last";
        return Verdict::Is { outcome: Outcome::Blocked, reason: said(&words), cure: cure.into() };
    }
    Verdict::Note(format!("the server could not say whether it takes this: {words}"))
}

/// Whether a server says that something is missing which an object refers to.
pub(super) fn misses(words: &str) -> bool {
    ["not found", "was found", "no params found", "does not exist"].iter().any(|phrase| words.contains(phrase))
}

fn said(words: &str) -> String {
    format!("the server refuses it: {words}")
}

fn cut(words: &str) -> String {
    match words.char_indices().nth(WORDS) {
        Some((end, _)) => format!("{}...", &words[..end]),
        None => words.to_owned(),
    }
}

fn cure(status: u16, words: &str) -> &'static str {
    let has = |phrase: &str| words.contains(phrase);
    if has("exceeded quota") || has("failed quota") {
        "raise the quota, or make room in the namespace"
    } else if has("attempting to grant") {
        "restore as somebody who holds these rights, or who may `escalate` and `bind`"
    } else if has("violates PodSecurity") {
        "change the namespace's label pod-security.kubernetes.io/enforce, or the pod with --patch"
    } else if has("denied request") || has("denied the request") {
        "change the object with --patch so that it is allowed, or ask who keeps the policy"
    } else if status == 403 {
        "give the account of the restore that right, or leave the object out"
    } else {
        "change it with --patch so that the server takes it, or leave it out (--select, --object)"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn answer(status: u16, message: &str) -> Answer {
        let body = json!({"kind": "Status", "message": message}).to_string().into();
        Answer { status, retry_after: None, body }
    }

    fn word(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Same => "same",
            Verdict::Note(_) => "note",
            Verdict::Is { outcome, .. } => outcome.as_str(),
        }
    }

    #[rstest]
    #[case(Outcome::Create, 403, "pods \"a\" is forbidden: exceeded quota: best", "blocked")]
    #[case(Outcome::Create, 422, "Widget.example.com \"a\" is invalid: spec.size: Invalid value", "blocked")]
    #[case(Outcome::Patch, 422, "StatefulSet.apps \"db\" is invalid: spec: Forbidden: updates to", "conflict")]
    #[case(Outcome::Patch, 422, "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", "blocked")]
    #[case(Outcome::Patch, 403, "admission webhook \"g\" denied the request: no", "blocked")]
    #[case(Outcome::Create, 400, "admission webhook \"g\" does not support dry run", "note")]
    fn what_a_refusal_means(#[case] ruled: Outcome, #[case] status: u16, #[case] words: &str, #[case] wanted: &str) {
        assert_eq!(word(&refused(ruled, &answer(status, words), Before::default())), wanted);
    }

    #[test]
    fn what_comes_before_it_may_change_the_answer() {
        let made = Before { something_is_made: true, ..Before::default() };
        let missing = answer(403, "pods \"a\" is forbidden: no PriorityClass with name high was found");
        assert_eq!(word(&refused(Outcome::Create, &missing, made)), "note");
        assert_eq!(word(&refused(Outcome::Create, &missing, Before::default())), "blocked");
        let policy = answer(403, "pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\"");
        assert_eq!(word(&refused(Outcome::Create, &policy, made)), "blocked");
        let changes = Before { surroundings_change: true, ..Before::default() };
        assert_eq!(word(&refused(Outcome::Create, &policy, changes)), "note");
    }

    #[test]
    fn who_cannot_be_asked_is_not_guessed_about() {
        assert_eq!(
            word(&failed("Internal error occurred: failed calling webhook \"g\": connection refused")),
            "blocked"
        );
        assert_eq!(word(&failed("etcdserver: request timed out")), "note");
        let Verdict::Note(note) = failed(&"x".repeat(5000)) else { panic!("a note") };
        assert!(note.len() < 700 && note.ends_with("..."));
    }
}
