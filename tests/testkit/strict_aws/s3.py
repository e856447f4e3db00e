"""Rules of S3 that its model does not have, or has only as text."""

import base64
import email.charset
import email.errors
import email.header
import re

from ministack.services import s3

from .calls import Refused, header

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
KEY_BYTES = 1_024
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
METADATA_BYTES = 2_048
# The least size of each part except the last: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
PART_BYTES = 5 << 20

# The most keys of one DeleteObjects (in its model, as text).
DELETED_KEYS = 1_000

METADATA = b"x-amz-meta-"
CHECKSUM = "x-amz-checksum-"


def check(operation, params, scope):
    """Refuse what S3 refuses."""
    if len(params.get("Key", "").encode()) > KEY_BYTES:
        raise Refused("KeyTooLongError", f"{operation.name}: Your key is too long")
    if operation.http_checksum.get("requestChecksumRequired"):
        check_has_checksum(scope)
    if "Metadata" in operation.input_shape.members:
        check_metadata(scope)
    if operation.name == "DeleteObjects" and len(params["Delete"]["Objects"]) > DELETED_KEYS:
        raise Refused("MalformedXML", f"DeleteObjects: more than {DELETED_KEYS} keys")
    if operation.name == "UploadPart":
        check_part(params, scope)
    if operation.name == "CompleteMultipartUpload":
        check_parts(params)


def check_has_checksum(scope):
    """Refuse a body without a checksum, if the model requires one."""
    names = [name.decode().lower() for name, _ in scope["headers"]]
    if not any(name == "content-md5" or name.startswith(CHECKSUM) for name in names):
        raise Refused("InvalidRequest", f"Missing required header for this request: Content-MD5 OR {CHECKSUM}*")


def check_metadata(scope):
    """Limit the user metadata. The documentation does not say whether the encoded text or the text itself is counted, so
    neither may be too long."""
    metadata = [(name[len(METADATA):], value) for name, value in scope["headers"] if name.lower().startswith(METADATA)]
    size = sum(len(name) + max(len(value), len(decode(value).encode())) for name, value in metadata)
    if size > METADATA_BYTES:
        message = f"Your metadata headers exceed the maximum allowed metadata size: {size} of {METADATA_BYTES} bytes"
        raise Refused("MetadataTooLarge", message)


def check_part(params, scope):
    """Refuse a checksum of another algorithm than the upload's. An upload without one accepts any, and fails in the end."""
    upload = s3._multipart_uploads.get(params["UploadId"])
    announced = upload and upload["checksum_algorithm"]
    names = [name.decode().lower() for name, _ in scope["headers"]] + header(scope, b"x-amz-trailer").lower().split(",")
    for name in names:
        algorithm = name.strip().removeprefix(CHECKSUM)
        if announced and name.strip().startswith(CHECKSUM) and algorithm != announced.lower():
            message = (
                f"Checksum Type mismatch occurred, expected checksum Type: {announced.lower()}, "
                f"actual checksum Type: {algorithm}"
            )
            raise Refused("InvalidRequest", message)


def check_parts(params):
    """Refuse parts that differ from what their upload has announced, or are too small.

    "This checksum algorithm must be the same for all parts and it match the checksum value supplied in the
    CreateMultipartUpload request" (the model, of UploadPart's ChecksumAlgorithm)."""
    upload = s3._multipart_uploads.get(params["UploadId"])
    if not upload:
        return
    announced = upload["checksum_algorithm"]
    parts = params.get("MultipartUpload", {}).get("Parts", [])
    if not parts:
        raise Refused("MalformedXML", "CompleteMultipartUpload: You must specify at least one part")
    numbers = [part.get("PartNumber", 0) for part in parts]
    if any(later <= earlier for earlier, later in zip(numbers, numbers[1:])):
        raise Refused("InvalidPartOrder", "The list of parts was not in ascending order")
    for part in parts:
        named = {name.removeprefix("Checksum") for name in part if name.startswith("Checksum")}
        if named - {announced}:
            message = (
                "One or more of the specified parts could not be found. The part may not have been uploaded, or the "
                f"specified entity tag may not match the part's entity tag: part {part.get('PartNumber')} has a "
                f"checksum {', '.join(sorted(named))}, and CreateMultipartUpload announced {announced or 'none'}"
            )
            raise Refused("InvalidPart", message)
        # A CRC64NVME checksum is of the whole object, and S3 can compute it without those of the parts.
        if announced not in (None, "CRC64NVME") and not named:
            message = (
                f"The upload was created using a {announced.lower()} checksum. The complete request must include the "
                f"checksum for each part. It was missing for part {part.get('PartNumber')} in the request."
            )
            raise Refused("InvalidRequest", message)
    for number in numbers[:-1]:
        size = upload["parts"].get(number, {}).get("size", PART_BYTES)
        if size < PART_BYTES:
            message = f"Your proposed upload is smaller than the minimum allowed size: part {number} has {size} bytes"
            raise Refused("EntityTooSmall", message)


def encode_metadata(send):
    """Return user metadata as S3 does, which decodes what it gets by RFC 2047, and encodes it again."""

    async def encoded(message):
        if message["type"] == "http.response.start":
            headers = [
                (name, encode(decode(value)).encode() if name.lower().startswith(METADATA) else value)
                for name, value in message.get("headers", [])
            ]
            message = {**message, "headers": headers}
        await send(message)

    return encoded


def decode(value):
    """Decode the text of a header. Bytes that are neither ASCII nor encoded are taken for Latin-1: AWS has been seen to return
    the two bytes of one character as two characters (https://github.com/minio/minio/issues/21282)."""
    text = value.decode("latin-1")
    try:
        return str(email.header.make_header(email.header.decode_header(text)))
    except (email.errors.HeaderParseError, LookupError, UnicodeError):
        return text


def encode(text):
    """Encode a text as a header. S3 has been seen to use either encoding (as above). This is JavaMail's rule, and the 75
    characters of a word are RFC 2047's."""
    if text.isascii():
        return text
    mostly_ascii = 2 * sum(char.isascii() for char in text) > len(text)
    charset = email.charset.Charset("utf-8")
    charset.header_encoding = email.charset.QP if mostly_ascii else email.charset.BASE64
    lines = email.header.Header(text, charset, maxlinelen=75).encode(linesep="").split()
    return " ".join(re.sub(r"^=\?utf-8\?(.)\?", lambda start: f"=?UTF-8?{start[1].upper()}?", word) for word in lines)
