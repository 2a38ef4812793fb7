//! Rules of the protocol that a test breaks on purpose: each must lose data, or nobody knows that the rule is needed,
//! nor that the simulation would notice.

/// One broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// GRACE is shorter than MAX_RUN.
    ShortGrace,
    /// MIN_AGE is shorter than MAX_RUN.
    ShortMinAge,
    /// Runs commit however old they are.
    NoDeadline,
    /// Chunks of unfinished attempts are taken over, however old they are.
    AnyOrphan,
    /// Nothing but its content names a chunk, and one that is there counts as stored.
    ContentNames,
    /// A run looks for backups to build on before it looks for tombstones, and collectors take tombstones away.
    ManifestsFirst,
    /// Who takes a run over starts its time anew, and keeps its parts.
    RestartedLeader,
    /// A manifest may be on its way for any time once the deadline was looked at.
    UnboundedPut,
    /// A copy uses the names of the original.
    OriginalNames,
    /// A collector reads the time when it has listed everything else.
    LateClock,
    /// A tombstone is taken away however old it is.
    LateUndelete,
    /// The folder of a run that has not committed is dead, however young it is.
    YoungRuns,
}

/// Whether a test breaks this rule just now.
#[cfg(test)]
pub fn on(mutation: Mutation) -> bool {
    crate::simulation::mutation() == Some(mutation)
}

/// Whether a test breaks this rule just now: there is none in the program.
#[cfg(not(test))]
pub const fn on(_: Mutation) -> bool {
    false
}
