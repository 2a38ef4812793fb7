//! What a verb is asked, and what it answers. One file per verb.
//!
//! Requests are plain values made by `cli` (later also by `serve`). Reports are the `--json` interface: names are
//! stable, sizes are bytes, times are UTC, ages are seconds against the store's clock (this machine's where the
//! handle can only read).

mod access;
mod backup;
mod cat;
mod check;
mod copy;
mod diff;
mod hold;
mod init;
mod keys;
mod list;
mod place;
mod plan;
mod proof;
mod prune;
mod prune_plan;
mod quiesce;
mod renew;
mod restore;
mod show;
mod undelete;
mod verify;

pub use crate::model::{BackupRef, BackupRefError};
pub use access::{AccessDialect, AccessDocument, AccessReport, AccessRequest};
pub use backup::{BackupReport, BackupRequest, BackupSource, FailedSourceReport};
pub use cat::{CatRequest, CatStream, Export, ObjectName};
pub use check::{COVERAGE, CheckReport, CheckRequest, CheckedStore, FindingGroup};
pub use copy::{CopiesIn, CopyFailure, CopyHeld, CopyReceiver, CopyReport, CopyRequest, CopyRow};
pub use diff::{
    Change, DiffReport, DiffRequest, DiffSide, Difference, ObjectDiff, ObjectsDiff, PartDiff, RecordDiff, RecordsDiff,
    SourceDiff, Standing, StreamDiff,
};
pub use hold::{HoldAddRequest, HoldListReport, HoldRemoveRequest, HoldReport, HoldRow};
pub use init::{InitFile, InitKeys, InitReport, InitRequest};
pub use keys::{
    ChangedRow, ConfigRow, DedupRow, KeysChange, KeysChangeReport, KeysChangeRequest, KeysListReport, KeysListRequest,
    KeysPlace, KeysRow, NewKey, PinAction, PinFile, PinLine, Pinned, RecipientRow, RoleKeyRow,
};
pub use list::{ListReport, ListRequest, ListRow, ListSource};
pub use place::Place;
pub use plan::{PlanBackupReport, PlanBackupRequest, PlanSource};
pub use proof::{
    ProofListReport, ProofListRequest, ProofRow, ProofShowReport, ProofShowRequest, ProofVerdict, ProofVerifyReport,
    ProofVerifyRequest, ProofVerifyWhat, SignatureState,
};
pub use prune::{PruneReport, PruneRequest, PruneRow};
pub use prune_plan::{
    Counted, Expiry, PruneApplyReport, PruneApplyRequest, PruneCost, PrunePlanReport, PrunePlanRequest, PrunedSource,
};
pub use quiesce::{
    QuiesceReleaseReport, QuiesceReport, QuiesceRow, QuiesceStatusReport, Quiesced, QuiescedWorkload, WatchRequest,
};
pub use renew::{RenewReport, RenewRequest, RenewRow};
pub use restore::{
    Against, Confirm, ObjectFate, ObjectOutcome, ObjectsAsked, RestoreMode, RestorePlan, RestoreReport, RestoreRequest,
};
pub use show::{ShowFailed, ShowReport, ShowRequest, ShowSource, ShowStream};
pub use undelete::{ExpiredRow, UndeleteListReport, UndeleteReport, UndeleteRequest};
pub use verify::{
    Damage, Outcome, Percent, SandboxOptions, VerifyBackup, VerifyCapture, VerifyReport, VerifyRequest, VerifyWhat,
};
