use super::*;

/// HS256, made with a key of 32 bytes `k`: {"sub":"alice"}.
fn authenticator() -> Authenticator {
    let secret_key = Some(vec![b'k'; 32]);
    Authenticator::new(&TokenOptions { secret_key, public_key: None }).unwrap()
}

#[test]
fn only_one_kind_of_key_is_taken() {
    let refused = |options| Authenticator::new(&options).err().map(|error| error.kind());
    assert_eq!(refused(TokenOptions::default()), Some(ErrorKind::InvalidOption));
    let both = TokenOptions { secret_key: Some(vec![1]), public_key: Some("key.pem".into()) };
    assert_eq!(refused(both), Some(ErrorKind::InvalidOption));
}

#[test]
fn what_is_no_token_is_refused() {
    let long = "a".repeat(100_000);
    for token in ["", ".", "..", "a.b.c", "e30.e30.", "e30.e30.e30", &long] {
        let error = authenticator().check(METHOD, token.as_bytes(), 0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication, "{token:.10}");
    }
}
