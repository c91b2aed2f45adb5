"""The files of the page are a fixed table."""

from vitrail.delivery.serve.static_files import TYPES, read_page


def test_every_file_has_a_strict_type_and_a_tag_of_its_content():
    page = read_page()
    for name, file in page.items():
        assert file.media_type in TYPES.values()
        assert "/" not in name
        assert file.headers["ETag"].startswith('"')
        policy = file.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
    assert len({file.tag for file in page.values()}) == len(page)
