use super::*;

#[test]
fn lengths_at_the_edges_of_their_bytes() {
    for length in [0, 1, 127, 128, 129, 16_383, 16_384, 2_097_151, 2_097_152] {
        let mut out = vec![9];
        out.put_message(1, |out| out.resize(out.len() + length, 7));
        let mut expected = vec![9];
        prost::encoding::bytes::encode(1, &vec![7_u8; length], &mut expected);
        assert_eq!(out, expected, "{length}");
    }
}

#[test]
fn numbers_at_the_edges_of_their_bytes() {
    for shift in 0..64 {
        for value in [(1 << shift) - 1, 1 << shift, u64::MAX] {
            let (mut out, mut expected) = (Vec::new(), Vec::new());
            out.put_varint(value);
            prost::encoding::encode_varint(value, &mut expected);
            assert_eq!(out, expected);
            assert_eq!(Reader::new(&out).varint(), Ok(value));
            assert_eq!(Reader::new(&out[..out.len() - 1]).varint(), Err(VARINT));
        }
    }
    assert_eq!(
        Reader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]).varint(),
        Err(VARINT)
    );
}

#[test]
fn a_list_keeps_no_more_than_its_bound() {
    let mut bytes = Vec::new();
    for _ in 0..1000 {
        bytes.item_bytes(1, b"x");
    }
    let mut list = Repeated::<&str, 16>::default();
    for field in Reader::new(&bytes) {
        list.merge(field.unwrap().1).unwrap();
    }
    assert_eq!((list.items.len(), list.more), (16, true));
    list.clear();
    assert_eq!((list.items.len(), list.more), (0, false));
}
