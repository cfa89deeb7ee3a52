//! Proof of work: what makes a nonce a hit.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Hashes of one text with many nonces.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The text, hashed already.
    text: Sha256,
    difficulty: u32,
}

impl Proof {
    /// For hashes of `text` that begin with `difficulty` zero bits.
    pub fn new(text: &str, difficulty: u32) -> Self {
        Self { text: Sha256::new().chain_update(text), difficulty }
    }

    /// The hash in hexadecimal digits, if `nonce` is a hit. The nonce is hashed as decimal digits.
    pub fn hit(&self, nonce: u64) -> Option<String> {
        let mut digits = [0; 20];
        let hash = self.text.clone().chain_update(decimal(nonce, &mut digits)).finalize();
        let mut head = [0; 8];
        head.copy_from_slice(&hash[..8]);
        let zeros = u64::from_be_bytes(head).leading_zeros();
        (zeros >= self.difficulty).then(|| hex(&hash))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing into a string never fails.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The digits of a number, without an allocation for each nonce.
fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut first = digits.len();
    loop {
        first -= 1;
        // Below ten, so it is a digit.
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[first..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_is_what_sha256_says() {
        // printf 'hello156056' | sha256sum
        let hash = "0000037660ee0e22df67a053537e000325bbfad2cce9b8b7c795f6aa961d5cb7";
        assert_eq!(Proof::new("hello", 22).hit(156_056).as_deref(), Some(hash));
        assert_eq!(Proof::new("hello", 23).hit(156_056), None);
    }

    #[test]
    fn numbers_are_written_as_people_write_them() {
        for number in [0, 9, 10, 1_234_567_890, u64::MAX] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }
}
