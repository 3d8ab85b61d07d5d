use super::*;

fn reason(bytes: &[u8]) -> String {
    match parse(bytes) {
        Err(PickleError::Invalid(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_foreign_callable_is_named_and_its_control_characters_escaped() {
    for bytes in [
        &b"\x80\x02cposix\nsystem\nX\x04\0\0\0echo\x85R."[..],
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93.",
    ] {
        assert_eq!(parse(bytes).unwrap_err(), PickleError::Foreign("\"posix.system\"".into()));
    }
    assert_eq!(
        parse(b"c\x1b[2J\nx\n.").unwrap_err(),
        PickleError::Foreign("\"\\u{1b}[2J.x\"".into())
    );
}

#[test]
fn containers_are_filled_through_the_memo_and_may_hold_themselves() {
    // d = {}; d["me"] = d
    let pickle = parse(b"\x80\x02}q\0X\x02\0\0\0meh\0s.").unwrap();
    assert_eq!(pickle.dict(pickle.root).unwrap()["me"], pickle.root);
    assert_eq!(pickle.length, 16);
}

#[test]
fn integers_of_every_width_keep_their_sign() {
    for (bytes, value) in [
        (&b"K\xff."[..], 255),
        (b"M\xff\xff.", 65535),
        (b"J\xff\xff\xff\xff.", -1),
        (b"\x8a\0.", 0),
        (b"\x8a\x02\0\x80.", -32768),
        (b"\x8a\x05\0\0\0\0\x01.", 1 << 32),
    ] {
        let pickle = parse(bytes).unwrap();
        assert_eq!(*pickle.node(pickle.root), Node::Int(value));
        assert_eq!(pickle.size(pickle.root), usize::try_from(value).ok());
    }
    let wide = parse(b"\x8a\x09\0\0\0\0\0\0\0\0\x01.").unwrap();
    assert_eq!(*wide.node(wide.root), Node::OtherNumber);
}

#[test]
fn nesting_and_the_number_of_values_are_bounded() {
    assert!(reason(&[b'('; 1000]).contains("containers within each other"));
    let mut many = vec![b'N'; MAX_NODES + 1];
    many.push(b'.');
    assert!(reason(&many).contains("values"));
    // Sharing a value grows no memory: 2^40 leaves if it were copied.
    let mut doubled = b"]q\0".to_vec();
    for slot in 0..40u8 {
        doubled.extend([b'h', slot, b'h', slot, 0x86, b'q', slot + 1, b'0']);
    }
    doubled.extend(*b"0N.");
    assert!(parse(&doubled).is_err() || parse(&doubled).unwrap().nodes.len() < 100);
}

#[test]
fn broken_streams_are_errors_not_panics() {
    for bytes in [
        &b""[..],
        b".",
        b"\x80",
        b"\x80\x09.",
        b"X\xff\xff\xff\xffabc",
        b"X\x01\0\0\0\xff.",
        b"NN.",
        b"(N.",
        b"t.",
        b"R.",
        b"N)R.",
        b"Na.",
        b"]Ns.",
        b"}(Nu.",
        b"Nb.",
        b"NNb.",
        b"h\x07.",
        b"q\0.",
        b"(q\0.",
        b"cposix",
        b"\x8a\xff\0",
        b"i",
        b"ctorch\nFloatStorage\n)R.",
        b"ccollections\nOrderedDict\nN\x85R.",
        b"ccollections\nOrderedDict\n]N\x86R.",
        b"NN\x93.",
    ] {
        assert!(!reason(bytes).is_empty());
    }
}

#[test]
fn an_ordered_dict_of_python_2_is_a_list_of_pairs() {
    let pickle =
        parse(b"ccollections\nOrderedDict\n](U\x01aK\x01\x86U\x01bK\x02\x86e\x85R}b.").unwrap();
    let dict = pickle.dict(pickle.root).unwrap();
    assert_eq!(pickle.size(dict["a"]), Some(1));
    assert_eq!(pickle.size(dict["b"]), Some(2));
}
