//! Every SQL text is one that both engines understand, and none is missing from the list.

use sqlx::{Either, Executor, SqlSafeStr, Statement};
use tessera::store::{self, Store};

use crate::harness::engines::on_both_engines;
use crate::source::{rust_files, words};

/// Prepares `sql` and gives the number of its parameters. On PostgreSQL this plans it; on SQLite it compiles it.
async fn prepare(store: &Store, sql: &'static str) -> Result<usize, sqlx::Error> {
    fn count<T>(parameters: Option<Either<&[T], usize>>) -> usize {
        parameters.unwrap().either(<[T]>::len, |count| count)
    }
    Ok(match store {
        Store::Sqlite { writer, .. } => count(writer.prepare(sql.into_sql_str()).await?.parameters()),
        Store::Postgres(pool) => count(pool.prepare(sql.into_sql_str()).await?.parameters()),
    })
}

on_both_engines! {
    async fn every_statement_is_understood(db: TestDatabase) {
        for sql in store::statements() {
            let parameters = prepare(&db.store, sql).await.unwrap_or_else(|error| panic!("{error} in {sql}"));
            let wanted = (1..).take_while(|number| sql.contains(&format!("${number}"))).count();
            assert_eq!(parameters, wanted, "{sql}");
        }
        for wrong in ["SELECT nothing FROM users", "UPDATE nowhere SET x = $1", "SELECT id FROM users WHERE"] {
            assert!(prepare(&db.store, wrong).await.is_err(), "preparing must find what is wrong with {wrong}");
        }
    }
}

/// A statement that is not in its file's list would not be prepared above.
#[test]
fn every_statement_is_in_the_list() {
    let mut known = 0;
    for file in rust_files("src/store") {
        let Some(list) = words(&file.shipped_code, "STATEMENTS").next() else { continue };
        let list = file.shipped_code[list..].split(';').next().unwrap();
        for at in words(&file.shipped_code, "const") {
            let declaration = &file.shipped_code[at..];
            let name = declaration["const".len()..].split(':').next().unwrap().trim();
            if declaration[..declaration.find('=').unwrap()].contains(": &str") && name != "STATEMENTS" {
                assert!(words(list, name).next().is_some(), "{}: {name} is not in STATEMENTS", file.path);
                known += 1;
            }
        }
    }
    assert_eq!(known, store::statements().count());
}
