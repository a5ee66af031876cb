//! Tests of admission, memory and verdicts. No test sleeps: futures are polled by hand, or the memory's lock holds work back.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

/// The least that argon2 allows, so that a hash takes microseconds.
fn small(queue: u32, cores: usize) -> PasswordHasher {
    PasswordHasher::with_cores(64, 1, 1, queue, cores).unwrap()
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn busy(result: Poll<Result<Verdict, PasswordError>>) -> bool {
    matches!(result, Poll::Ready(Err(PasswordError::Busy { retry_after })) if retry_after >= Duration::from_secs(1))
}

#[tokio::test]
async fn a_hash_verifies_its_password_only() {
    let hasher = small(4, 2);
    let phc = hasher.hash("correct horse").await.unwrap();
    assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{phc}");
    assert_ne!(hasher.hash("correct horse").await.unwrap(), phc, "the salt is random");
    assert_eq!(hasher.verify("correct horse", Some(&phc)).await, Ok(Verdict::Correct));
    assert_eq!(hasher.verify("Correct horse", Some(&phc)).await, Ok(Verdict::Wrong));
    assert_eq!(hasher.verify("", Some(&phc)).await, Ok(Verdict::Wrong));
    let empty = hasher.hash("").await.unwrap();
    assert_eq!(hasher.verify("", Some(&empty)).await, Ok(Verdict::Correct));
}

#[tokio::test]
async fn argon2s_own_hashes_verify_and_ours_with_it() {
    use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
    let hasher = small(4, 2);
    let phc = hasher.hash("correct horse").await.unwrap();
    let parsed = argon2::PasswordHash::new(&phc).unwrap();
    argon2::Argon2::default().verify_password(b"correct horse", &parsed).unwrap();

    let table = [
        (argon2::Algorithm::Argon2id, argon2::Version::V0x13, (64, 1, 1), Verdict::Correct),
        (argon2::Algorithm::Argon2id, argon2::Version::V0x13, (65, 1, 1), Verdict::CorrectButOutdated),
        (argon2::Algorithm::Argon2id, argon2::Version::V0x13, (128, 1, 1), Verdict::CorrectButOutdated),
        (argon2::Algorithm::Argon2id, argon2::Version::V0x13, (64, 2, 1), Verdict::CorrectButOutdated),
        (argon2::Algorithm::Argon2id, argon2::Version::V0x13, (64, 1, 4), Verdict::CorrectButOutdated),
        (argon2::Algorithm::Argon2id, argon2::Version::V0x13, (16, 1, 1), Verdict::CorrectButOutdated),
        (argon2::Algorithm::Argon2id, argon2::Version::V0x10, (64, 1, 1), Verdict::CorrectButOutdated),
        (argon2::Algorithm::Argon2i, argon2::Version::V0x13, (64, 1, 1), Verdict::CorrectButOutdated),
        (argon2::Algorithm::Argon2d, argon2::Version::V0x13, (64, 1, 1), Verdict::CorrectButOutdated),
    ];
    for (algorithm, version, (m, t, p), expected) in table {
        let argon2 = argon2::Argon2::new(algorithm, version, argon2::Params::new(m, t, p, None).unwrap());
        let phc = argon2.hash_password_with_salt(b"correct horse", b"sixteen bytes...").unwrap().to_string();
        assert_eq!(hasher.verify("correct horse", Some(&phc)).await, Ok(expected), "{phc}");
        assert_eq!(hasher.verify("wrong horse", Some(&phc)).await, Ok(Verdict::Wrong), "{phc}");
    }
}

#[tokio::test]
async fn a_stored_hash_that_would_hurt_is_refused() {
    let hasher = small(4, 2);
    let bad = [
        "",
        "secret",
        "$2b$12$abcdefghijklmnopqrstuv",
        "$argon2id$v=19$m=1048577,t=1,p=1$c2l4dGVlbiBieXRlcy4uLg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$m=64,t=101,p=1$c2l4dGVlbiBieXRlcy4uLg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$m=4096,t=1,p=65$c2l4dGVlbiBieXRlcy4uLg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=18$m=64,t=1,p=1$c2l4dGVlbiBieXRlcy4uLg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$m=64,t=1,p=1$c2l4dGVlbiBieXRlcy4uLg",
        "$argon2id$v=19$m=64,t=1,p=1",
    ];
    for phc in bad {
        assert!(matches!(hasher.verify("x", Some(phc)).await, Err(PasswordError::StoredHash(_))), "{phc}");
    }
    assert!(matches!(PasswordHasher::new(7, 1, 1, 1), Err(PasswordError::Parameters(_))));
    assert!(matches!(PasswordHasher::new(2 * 1024 * 1024, 1, 1, 1), Err(PasswordError::Parameters(_))));
}

#[tokio::test]
async fn an_unknown_user_costs_the_same_and_is_always_wrong() {
    let hasher = small(4, 1);
    let real: Hash = hasher.hash("correct horse").await.unwrap().parse().unwrap();
    let shape = |hash: &Hash| {
        let text = hash.to_string();
        (text.len(), text.rsplitn(3, '$').last().unwrap().to_owned())
    };
    assert_eq!(shape(&hasher.dummy), shape(&real));
    assert!(hasher.dummy.is_current(&hasher.params));
    assert_eq!(hasher.verify("correct horse", None).await, Ok(Verdict::Wrong));
    // Wrong even in the one case in 2^256 that the dummy matches.
    let mut hasher = small(4, 1);
    hasher.dummy = real;
    assert_eq!(hasher.verify("correct horse", None).await, Ok(Verdict::Wrong));
}

#[tokio::test]
async fn a_burst_beyond_the_queue_is_told_to_come_back() {
    let hasher = small(3, 2);
    let held = hasher.memory.lock();
    assert_eq!(hasher.check_queue(), Ok(()));
    let mut waiting: Vec<_> = (0..5).map(|_| Box::pin(hasher.verify("x", None))).collect();
    assert!(waiting.iter_mut().all(|future| poll(future.as_mut()).is_pending()), "two run and three wait");
    assert!(matches!(hasher.check_queue(), Err(PasswordError::Busy { .. })));
    for _ in 0..10 {
        assert!(busy(poll(pin!(hasher.verify("x", None)))));
    }
    assert_eq!((hasher.running.available_permits(), hasher.admitted.available_permits()), (0, 0));
    drop(held);
    for future in waiting {
        assert_eq!(future.await, Ok(Verdict::Wrong));
    }
    assert_eq!((hasher.running.available_permits(), hasher.admitted.available_permits()), (2, 5));
    assert!(hasher.memory.allocated.load(Ordering::Relaxed) <= 2, "one set of blocks per core");
}

#[tokio::test]
async fn a_queue_of_nothing_still_serves_each_core() {
    let hasher = small(0, 1);
    assert_eq!(hasher.verify("x", None).await, Ok(Verdict::Wrong));
    let held = hasher.memory.lock();
    let mut first = Box::pin(hasher.verify("x", None));
    assert!(poll(first.as_mut()).is_pending());
    assert!(busy(poll(pin!(hasher.verify("x", None)))));
    drop(held);
    assert_eq!(first.await, Ok(Verdict::Wrong));
}

#[tokio::test]
async fn who_leaves_the_queue_gives_the_place_back() {
    let hasher = small(1, 1);
    let held = hasher.memory.lock();
    let mut first = Box::pin(hasher.verify("x", None));
    let mut second = Box::pin(hasher.verify("x", None));
    assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
    assert!(busy(poll(pin!(hasher.verify("x", None)))));
    drop(second);
    let mut third = Box::pin(hasher.verify("x", None));
    assert!(poll(third.as_mut()).is_pending(), "the place is free again");
    drop(held);
    assert_eq!((first.await, third.await), (Ok(Verdict::Wrong), Ok(Verdict::Wrong)));
}

#[tokio::test]
async fn a_core_stays_taken_until_abandoned_work_ends() {
    let hasher = small(0, 1);
    let held = hasher.memory.lock();
    let mut abandoned = Box::pin(hasher.verify("x", None));
    assert!(poll(abandoned.as_mut()).is_pending());
    drop(abandoned);
    assert_eq!(hasher.running.available_permits(), 0);
    assert!(busy(poll(pin!(hasher.verify("x", None)))));
    drop(held);
    // Comes free when the work ends, and not before.
    let _all = hasher.admitted.acquire().await.unwrap();
    assert_eq!(hasher.running.available_permits(), 1);
    assert_eq!(hasher.memory.lock().len(), 1, "the memory came back first");
}

#[tokio::test]
async fn memory_is_reused() {
    let hasher = small(64, 2);
    let phc = hasher.hash("correct horse").await.unwrap();
    for _ in 0..20 {
        assert_eq!(hasher.verify("correct horse", Some(&phc)).await, Ok(Verdict::Correct));
    }
    assert_eq!(hasher.memory.allocated.load(Ordering::Relaxed), 1);
    let all = futures_util::future::join_all((0..60).map(|_| hasher.verify("correct horse", Some(&phc)))).await;
    assert!(all.iter().all(|verdict| *verdict == Ok(Verdict::Correct)));
    assert!(hasher.memory.allocated.load(Ordering::Relaxed) <= 2);
    // A hash that needs more gets more, and it is not kept.
    let greedy = PasswordHasher::with_cores(256, 1, 1, 4, 2).unwrap().hash("correct horse").await.unwrap();
    assert_eq!(hasher.verify("correct horse", Some(&greedy)).await, Ok(Verdict::CorrectButOutdated));
    assert!(hasher.memory.lock().iter().all(|blocks| blocks.len() == 64));
}

#[tokio::test]
async fn a_password_that_is_too_long_costs_nothing() {
    let hasher = small(0, 1);
    let longest = "é".repeat(MAX_PASSWORD_BYTES / 2);
    assert_eq!(hasher.verify(&longest, None).await, Ok(Verdict::Wrong));
    let allocated = hasher.memory.allocated.load(Ordering::Relaxed);
    let too_long = format!("{longest}x");
    assert_eq!(poll(pin!(hasher.verify(&too_long, None))), Poll::Ready(Err(PasswordError::TooLong)));
    assert_eq!(poll(pin!(hasher.hash(&too_long))), Poll::Ready(Err(PasswordError::TooLong)));
    assert_eq!(hasher.memory.allocated.load(Ordering::Relaxed), allocated);
}
