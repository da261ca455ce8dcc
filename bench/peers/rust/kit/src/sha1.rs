//! SHA-1 (FIPS 180-4) of messages that fit one block: the random numbers of unbalanced trees. Step for step what bench/workloads/sha1.c does.

pub const BYTES: usize = 20;

const START: [u32; 5] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];

/// The message, a one bit, zeros, and its length in bits, as words with the highest byte first.
fn pad(message: &[u8]) -> [u32; 16] {
    let mut block = [0; 64];
    block[..message.len()].copy_from_slice(message);
    block[message.len()] = 0x80;
    block[62..].copy_from_slice(&(message.len() as u16 * 8).to_be_bytes());
    let mut words = [0; 16];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = u32::from_be_bytes(bytes.try_into().expect("4 bytes"));
    }
    words
}

/// The word of step `i`. From the 17th on it is mixed from the 16 before, in whose ring it takes the oldest one's place.
#[inline(always)]
fn word_of(words: &mut [u32; 16], i: usize) -> u32 {
    if i >= 16 {
        words[i % 16] = (words[(i - 3) % 16] ^ words[(i - 8) % 16] ^ words[(i - 14) % 16] ^ words[i % 16]).rotate_left(1);
    }
    words[i % 16]
}

/// Twenty steps. Five of them bring each word back to its role, so the roles move and no word does.
#[inline(always)]
fn twenty(mix: &mut [u32; 5], words: &mut [u32; 16], from: usize, constant: u32, pick: impl Fn(u32, u32, u32) -> u32) {
    for i in (from..from + 20).step_by(5) {
        for j in 0..5 {
            let [a, b, c, d, e] = [(5 - j) % 5, (6 - j) % 5, (7 - j) % 5, (8 - j) % 5, (9 - j) % 5];
            let picked = pick(mix[b], mix[c], mix[d]);
            let added = mix[a].rotate_left(5).wrapping_add(picked).wrapping_add(constant).wrapping_add(word_of(words, i + j));
            mix[e] = mix[e].wrapping_add(added);
            mix[b] = mix[b].rotate_left(30);
        }
    }
}

/// The digest of up to 55 bytes.
pub fn short(message: &[u8]) -> [u8; BYTES] {
    let (mut words, mut mix) = (pad(message), START);
    twenty(&mut mix, &mut words, 0, 0x5a827999, |b, c, d| d ^ (b & (c ^ d)));
    twenty(&mut mix, &mut words, 20, 0x6ed9eba1, |b, c, d| b ^ c ^ d);
    twenty(&mut mix, &mut words, 40, 0x8f1bbcdc, |b, c, d| (b & c) | (d & (b | c)));
    twenty(&mut mix, &mut words, 60, 0xca62c1d6, |b, c, d| b ^ c ^ d);
    let mut digest = [0; BYTES];
    for i in 0..5 {
        digest[4 * i..4 * i + 4].copy_from_slice(&START[i].wrapping_add(mix[i]).to_be_bytes());
    }
    digest
}
