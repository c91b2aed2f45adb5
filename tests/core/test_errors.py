from vitrail.core import errors


def test_every_error_is_in_the_tree_at_the_top_of_its_file() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.VitrailError)]
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in kinds)


def test_wrong_usage_and_failed_work_have_their_own_exit_codes() -> None:
    assert errors.UsageError.exit_code == 2
    assert errors.DataError.exit_code == errors.WeightsError.exit_code == 1
