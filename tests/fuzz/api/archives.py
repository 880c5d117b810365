"""What Schemathesis uploads: archives that are whole, archives that are not, and other bytes; what it leaves out is in
`endings`."""

import gzip
import io
import tarfile

import endings  # noqa: F401 - its hook is told by being read
import schemathesis
from hypothesis import strategies as st

# Names that fit, and names that must not lead out.
NAMES = st.one_of(
    st.sampled_from(["file", "directory/file", "directory", ".", "../out", "/absolute", "a/../../b", "a//b"]),
    st.text(min_size=1, max_size=20),
)
KINDS = st.sampled_from(
    [tarfile.REGTYPE, tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)


@st.composite
def tars(draw):
    """A tar with a few entries of any kind."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT, errors="surrogatepass") as archive:
        for _ in range(draw(st.integers(0, 4))):
            entry = tarfile.TarInfo(draw(NAMES))
            entry.type = draw(KINDS)
            entry.linkname = draw(NAMES)
            entry.mode = draw(st.integers(0, 0o7777))
            content = draw(st.binary(max_size=100)) if entry.type == tarfile.REGTYPE else b""
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()


@st.composite
def cut(draw, archives):
    """The beginning of an archive."""
    archive = draw(archives)
    return archive[: draw(st.integers(0, len(archive)))]


PACKED = tars().map(lambda tar: gzip.compress(tar, mtime=0))
schemathesis.openapi.media_type("application/tar+gzip", st.one_of(PACKED, PACKED, cut(PACKED), st.binary()))
