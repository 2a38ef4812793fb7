//! A database that has a subscription cannot be dropped, even one that was never switched on, as loaded ones are.

use crate::context::Context;
use crate::model::SourceFailure;
use crate::source::postgres::ConnectSettings;
use crate::source::postgres::load::quote::ident;
use crate::source::postgres::load::session::{Session, get};

/// Takes the subscriptions out of a database that is about to be dropped. Never touches their publishers: the slots
/// there belong to the database that was captured.
pub(super) async fn remove(
    server: &Session,
    settings: &ConnectSettings,
    name: &str,
    cx: &Context,
) -> Result<(), SourceFailure> {
    let doing = "looking for subscriptions";
    let sql = "SELECT s.subname::text FROM pg_catalog.pg_subscription s \
               JOIN pg_catalog.pg_database d ON d.oid = s.subdbid WHERE d.datname = $1::text";
    let rows = server.rows(sql, &[&name], doing).await?;
    if rows.is_empty() {
        return Ok(());
    }
    let inside = Session::open(settings, name, cx).await?;
    let triggers = "SELECT evtname::text FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D'";
    for row in inside.rows(triggers, &[], doing).await? {
        let trigger = ident(&get::<String>(&row, 0)?);
        inside.run(&format!("ALTER EVENT TRIGGER {trigger} DISABLE"), "switching an event trigger off").await?;
    }
    for row in rows {
        let subscription = ident(&get::<String>(&row, 0)?);
        for what in
            ["ALTER SUBSCRIPTION {} DISABLE", "ALTER SUBSCRIPTION {} SET (slot_name = NONE)", "DROP SUBSCRIPTION {}"]
        {
            inside.run(&what.replace("{}", &subscription), "dropping a subscription").await?;
        }
    }
    Ok(())
}
