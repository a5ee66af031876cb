//! Decompression (RFC 1950, RFC 1951), written from the RFCs, so that what the provider compresses is read by something else than what
//! compressed it. Slow, simple, and it panics at whatever is wrong.

const LENGTH_BASE: [usize; 29] =
    [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_BITS: [u32; 29] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BASE: [usize; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193,
    12289, 16385, 24577,
];
const DISTANCE_BITS: [u32; 30] =
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
const CODE_LENGTH_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// What a ZLIB stream holds (RFC 1950 §2.2).
pub fn zlib(stream: &[u8]) -> Vec<u8> {
    assert_eq!((stream[0] & 0x0f, u16::from_be_bytes([stream[0], stream[1]]) % 31), (8, 0), "a ZLIB header");
    let (body, checksum) = stream[2..].split_at(stream.len() - 6);
    let out = deflate(body);
    let (a, b) =
        out.iter().fold((1u32, 0u32), |(a, b), byte| ((a + u32::from(*byte)) % 65_521, (a + u32::from(*byte) + b) % 65_521));
    assert_eq!(checksum, (b << 16 | a).to_be_bytes(), "the checksum");
    out
}

/// What a gzip member without optional fields holds (RFC 1952 §2.3); its checksum is not looked at, its length is.
pub fn gzip(member: &[u8]) -> Vec<u8> {
    assert_eq!(member[..4], [0x1f, 0x8b, 8, 0]);
    let (body, trailer) = member[10..].split_at(member.len() - 18);
    let out = deflate(body);
    assert_eq!(trailer[4..], u32::try_from(out.len()).unwrap().to_le_bytes());
    out
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> usize {
        (0..count).fold(0, |value, place| {
            let bit = self.bytes[self.at / 8] >> (self.at % 8) & 1;
            self.at += 1;
            value | usize::from(bit) << place
        })
    }

    fn symbol(&mut self, code: &Huffman) -> usize {
        let (mut value, mut first, mut index) = (0, 0, 0);
        for count in &code.counts[1..] {
            value |= self.take(1);
            if value < first + count {
                return code.symbols[index + value - first];
            }
            index += count;
            first = (first + count) << 1;
            value <<= 1;
        }
        panic!("no such code");
    }
}

struct Huffman {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

fn huffman(lengths: &[usize]) -> Huffman {
    let mut counts = [0; 16];
    lengths.iter().for_each(|length| counts[*length] += 1);
    counts[0] = 0;
    let mut symbols: Vec<usize> = (0..lengths.len()).filter(|symbol| lengths[*symbol] > 0).collect();
    symbols.sort_by_key(|symbol| lengths[*symbol]);
    Huffman { counts, symbols }
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let (mut bits, mut out) = (Bits { bytes, at: 0 }, Vec::new());
    loop {
        let last = bits.take(1) == 1;
        match bits.take(2) {
            0 => {
                bits.at = bits.at.next_multiple_of(8);
                let length = bits.take(16);
                assert_eq!(bits.take(16), length ^ 0xffff);
                out.extend((0..length).map(|_| u8::try_from(bits.take(8)).unwrap()));
            }
            1 => {
                let lengths: Vec<usize> =
                    (0..288).map(|s| [8, 9, 7, 8][usize::from(s > 143) + usize::from(s > 255) + usize::from(s > 279)]).collect();
                block(&mut bits, &mut out, &huffman(&lengths), &huffman(&[5; 30]));
            }
            2 => {
                let (literals, distances, codes) = (bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4);
                let mut lengths = [0; 19];
                CODE_LENGTH_ORDER[..codes].iter().for_each(|symbol| lengths[*symbol] = bits.take(3));
                let code = huffman(&lengths);
                let mut lengths: Vec<usize> = Vec::new();
                while lengths.len() < literals + distances {
                    let (length, times) = match bits.symbol(&code) {
                        16 => (*lengths.last().unwrap(), 3 + bits.take(2)),
                        17 => (0, 3 + bits.take(3)),
                        18 => (0, 11 + bits.take(7)),
                        length => (length, 1),
                    };
                    lengths.resize(lengths.len() + times, length);
                }
                block(&mut bits, &mut out, &huffman(&lengths[..literals]), &huffman(&lengths[literals..]));
            }
            _ => panic!("no such block"),
        }
        if last {
            assert_eq!(bits.at.div_ceil(8), bytes.len(), "nothing comes after it");
            return out;
        }
    }
}

fn block(bits: &mut Bits<'_>, out: &mut Vec<u8>, literals: &Huffman, distances: &Huffman) {
    loop {
        match bits.symbol(literals) {
            256 => return,
            literal @ 0..256 => out.push(u8::try_from(literal).unwrap()),
            symbol => {
                let length = LENGTH_BASE[symbol - 257] + bits.take(LENGTH_BITS[symbol - 257]);
                let symbol = bits.symbol(distances);
                let distance = DISTANCE_BASE[symbol] + bits.take(DISTANCE_BITS[symbol]);
                (0..length).for_each(|_| out.push(out[out.len() - distance]));
            }
        }
    }
}
