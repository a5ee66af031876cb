//! The store on both engines: every statement, every row, single use, clean-up, migrations.

mod device;
mod guards;
mod logout;
mod migrations;
mod purge;
mod rows;
mod sample;
mod statements;
mod status_lists;
