"""What schemathesis does not know by itself: how a body of multipart/related or a tar file is put together."""

import io
import tarfile

import schemathesis


def parts(value, media_type):
    boundary = "kura-schemathesis"
    data = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
    head = f"--{boundary}\r\nContent-Type: {media_type}\r\n\r\n".encode()
    return head + data + f"\r\n--{boundary}--\r\n".encode()


def serializer(root):
    def serialize(ctx, value):
        return parts(value, root)

    return serialize


for root in ("application/dicom", "application/dicom+json", "application/dicom+xml"):
    schemathesis.serializer(f'multipart/related; type="{root}"')(serializer(root))


@schemathesis.serializer("application/dicom", "application/dicom+xml", "application/partial-upload")
def file(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@schemathesis.serializer("application/x-tar")
def tar(ctx, value):
    data = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return made.getvalue()
