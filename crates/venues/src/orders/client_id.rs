//! The id that a venue knows an order by.

use model::ledger::{Name, OrderKey};
use ring::digest::{Context, SHA256};

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// So many digits of base 62 hold 128 bits.
const LEN: usize = 22;

/// `m` and 22 letters and digits: the first 128 bits of the SHA-256 of the consumer's length (eight
/// bytes, little endian), the consumer, and its id of the order, in base 62.
///
/// Fits every venue's rule that is known (32 to 36 letters and digits, a letter first), and is the
/// same after a restart. Two keys with one id would take 2^64 orders.
#[must_use]
pub fn client_id(key: &OrderKey) -> Name {
    let mut hash = Context::new(&SHA256);
    hash.update(&(key.consumer.len() as u64).to_le_bytes());
    hash.update(key.consumer.as_bytes());
    hash.update(key.client_order_id.as_bytes());
    let hash = hash.finish();
    let mut number =
        hash.as_ref().iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    let mut text = [b'm'; LEN + 1];
    for place in text.iter_mut().skip(1).rev() {
        // Below 62.
        *place = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    String::from_utf8_lossy(&text).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn id(consumer: &str, order: &str) -> Name {
        client_id(&OrderKey { consumer: consumer.into(), client_order_id: order.into() })
    }

    #[test]
    fn an_id_is_a_function_of_its_key_for_ever() {
        // `printf '\x04\0\0\0\0\0\0\0mainorder-1' | sha256sum`, the first 32 digits in base 62.
        assert_eq!(&*id("main", "order-1"), "m6oWAIgRdS6OyfV8xhxIP9n");
        assert_eq!(id("main", "order-1"), id("main", "order-1"));
    }

    #[test]
    fn different_keys_have_different_ids_of_letters_and_digits() {
        let keys = ["", "a", "ab", "abc", "ü", "a b", "order-1"];
        let ids: BTreeSet<_> =
            keys.iter().flat_map(|consumer| keys.map(|order| id(consumer, order))).collect();
        assert_eq!(ids.len(), keys.len() * keys.len());
        for id in ids {
            assert!(id.len() == 23 && id.bytes().all(|b| b.is_ascii_alphanumeric()), "{id}");
        }
    }
}
