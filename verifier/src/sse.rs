//! Server-sent events (WHATWG HTML, "Parsing an event stream"), from chunks as they arrive.

/// One event that has data.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    /// `event:`; empty if there was none.
    pub name: String,
    /// `data:`, several lines joined by a line feed.
    pub data: String,
}

/// What cannot be an event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotEvents {
    /// An event is longer than the limit.
    #[error("an event of the stream is too long")]
    TooLong,
    /// It is not UTF-8.
    #[error("the event stream is not UTF-8")]
    NotUtf8,
}

/// What a line has besides its value.
const FIELD: usize = "data: ".len();

/// Takes chunks and gives events. An event that the stream's end cuts off is never given.
pub struct EventStream {
    max_length: usize,
    buffer: Vec<u8>,
    /// Where in the buffer the line that is not yet read begins, and up to where no end of it was found.
    start: usize,
    searched: usize,
    name: String,
    data: Option<String>,
    first_line: bool,
}

impl EventStream {
    /// A stream whose events have at most `max_length` bytes of data.
    pub fn new(max_length: usize) -> Self {
        Self { max_length, buffer: Vec::new(), start: 0, searched: 0, name: String::new(), data: None, first_line: true }
    }

    /// Takes the bytes that arrived. Call [`Self::next_event`] until it gives none before the next chunk.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole event.
    ///
    /// # Errors
    ///
    /// The stream is to be closed: too long an event or line, or not UTF-8.
    pub fn next_event(&mut self) -> Result<Option<Event>, NotEvents> {
        while let Some(line) = self.next_line()? {
            if line.is_empty() {
                let name = std::mem::take(&mut self.name);
                if let Some(data) = self.data.take() {
                    return Ok(Some(Event { name, data }));
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => self.name = value.to_owned(),
                "data" => match &mut self.data {
                    None if value.len() > self.max_length => return Err(NotEvents::TooLong),
                    None => self.data = Some(value.to_owned()),
                    Some(data) if data.len() + value.len() >= self.max_length => return Err(NotEvents::TooLong),
                    Some(data) => data.extend(["\n", value]),
                },
                // A comment (`:`), `id`, `retry` and what is unknown. The cursor is taken from what is signed.
                _ => {}
            }
        }
        Ok(None)
    }

    /// The next line without its end: CR LF, LF or CR.
    fn next_line(&mut self) -> Result<Option<String>, NotEvents> {
        let unread = self.buffer.get(self.searched..).unwrap_or_default();
        let Some(end) = unread.iter().position(|byte| matches!(byte, b'\n' | b'\r')).map(|at| self.searched + at) else {
            self.searched = self.buffer.len();
            let too_long = self.searched - self.start > self.max_length + FIELD;
            return if too_long { Err(NotEvents::TooLong) } else { Ok(None) };
        };
        if end - self.start > self.max_length + FIELD {
            return Err(NotEvents::TooLong);
        }
        // proof: `end` was found in the buffer, at or after `start`.
        let next = match (self.buffer[end], self.buffer.get(end + 1)) {
            (b'\r', Some(b'\n')) => end + 2,
            // The chunk ends here: a line feed that still comes belongs to this end.
            (b'\r', None) => {
                self.searched = end;
                return Ok(None);
            }
            _ => end + 1,
        };
        let mut line = &self.buffer[self.start..end];
        if std::mem::take(&mut self.first_line) {
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        let line = std::str::from_utf8(line).map_err(|_| NotEvents::NotUtf8)?.to_owned();
        (self.start, self.searched) = (next, next);
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(chunks: &[&[u8]]) -> Result<Vec<(String, String)>, NotEvents> {
        let mut stream = EventStream::new(64);
        let mut found = Vec::new();
        for chunk in chunks {
            stream.push(chunk);
            while let Some(event) = stream.next_event()? {
                found.push((event.name, event.data));
            }
        }
        Ok(found)
    }

    fn pairs(expected: &[(&str, &str)]) -> Result<Vec<(String, String)>, NotEvents> {
        Ok(expected.iter().map(|(name, data)| ((*name).to_owned(), (*data).to_owned())).collect())
    }

    #[test]
    fn reads_what_the_standard_says() {
        let cases: [(&str, &[(&str, &str)]); 12] = [
            ("event: a\ndata: 1\n\n", &[("a", "1")]),
            ("\u{feff}data:1\r\n\r\n", &[("", "1")]),
            ("data: 1\rdata:  2\r\rx", &[("", "1\n 2")]),
            (": comment\nretry: 250\n\ndata: 1\n\n", &[("", "1")]),
            ("event: lost\n\ndata: 1\n\n", &[("", "1")]),
            ("data\n\n", &[("", "")]),
            ("id: 7\ndata: 1\nid\n\ndata: 2\n\n", &[("", "1"), ("", "2")]),
            ("data: cut", &[]),
            ("data: cut\n", &[]),
            ("event: a\ndata: cut\r", &[]),
            ("DATA: 1\n\n", &[]),
            ("\n\n\n", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(events(&[text.as_bytes()]), pairs(expected), "{text:?}");
        }
    }

    #[test]
    fn limits_lines_and_events() {
        assert_eq!(events(&[&[b'x'; 70]]), Ok(vec![]));
        assert_eq!(events(&[&[b'x'; 71]]), Err(NotEvents::TooLong));
        assert_eq!(events(&[&[b'x'; 70], b"x\n"]), Err(NotEvents::TooLong));
        for field in ["data:", "data: "] {
            let of = |length: usize| format!("{field}{}\n\n", "x".repeat(length));
            assert_eq!(events(&[of(64).as_bytes()]), pairs(&[("", &"x".repeat(64))]), "{field}");
            assert_eq!(events(&[of(65).as_bytes()]), Err(NotEvents::TooLong), "{field}");
        }
        let line = format!("data: {}\n", "x".repeat(40));
        assert_eq!(events(&[line.as_bytes(), line.as_bytes()]), Err(NotEvents::TooLong));
        assert_eq!(events(&[b"data: \xff\n\n"]), Err(NotEvents::NotUtf8));
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(text in "(data|event|:|id)?:? ?[a-c]{0,3}(\r|\n|\r\n)(\n|\r\n|data: x\n\n){0,2}", cut in 0..20_usize) {
            let text = format!("{text}\ndata: end\n\n");
            let (one, two) = text.as_bytes().split_at(cut.min(text.len()));
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            prop_assert_eq!(events(&[text.as_bytes()]), events(&[one, two]));
            prop_assert_eq!(events(&[text.as_bytes()]), events(&bytes));
        }
    }
}
