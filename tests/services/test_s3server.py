import pytest
from botocore.exceptions import ClientError

from tests.services.s3server import S3Server


def test_it_holds_what_it_is_given_and_buckets_are_their_own(s3: S3Server) -> None:
    buckets, client = [s3.create_bucket() for _ in range(2)], s3.client()

    client.put_object(Bucket=buckets[0], Key="a", Body=b"one")

    assert client.get_object(Bucket=buckets[0], Key="a")["Body"].read() == b"one"
    assert "Contents" not in client.list_objects_v2(Bucket=buckets[1])


@pytest.mark.parametrize("wrong", ["key", "secret"])
def test_it_believes_nobody_without_a_signature(s3: S3Server, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = s3.create_bucket()
    monkeypatch.setattr(s3, wrong, "wrong")

    with pytest.raises(ClientError, match=r"InvalidAccessKeyId|SignatureDoesNotMatch"):
        s3.client().list_objects_v2(Bucket=bucket)


def test_conditions_hold(s3: S3Server) -> None:
    bucket, client = s3.create_bucket(), s3.client()
    client.put_object(Bucket=bucket, Key="a", Body=b"one", IfNoneMatch="*")

    for condition in ({"IfNoneMatch": "*"}, {"IfMatch": '"another"'}):
        with pytest.raises(ClientError, match="PreconditionFailed"):
            client.put_object(Bucket=bucket, Key="a", Body=b"two", **condition)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.delete_object(Bucket=bucket, Key="a", IfMatch='"another"')
    assert client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"one"
