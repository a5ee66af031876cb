//! The event stream: however it is cut into chunks, the same events come out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tessera_verifier::{Event, EventStream};

fn events<'c>(chunks: impl Iterator<Item = &'c [u8]>) -> (Vec<Event>, bool) {
    let (mut stream, mut found) = (EventStream::new(100), Vec::new());
    for chunk in chunks {
        stream.push(chunk);
        loop {
            match stream.next_event() {
                Ok(Some(event)) => found.push(event),
                Ok(None) => break,
                Err(_) => return (found, false),
            }
        }
    }
    (found, true)
}

fuzz_target!(|data: &[u8]| {
    let Some((size, data)) = data.split_first() else { return };
    let whole = events(std::iter::once(data));
    assert_eq!(whole, events(data.chunks(usize::from(*size) + 1)));
});
