import torch

from vitrail.heads.left_out_groups import leave_out_groups


def test_each_group_is_solved_by_itself_whatever_its_size():
    generator = torch.Generator().manual_seed(0)
    factor_NA = torch.linalg.qr(torch.randn(60, 7, generator=generator, dtype=torch.float64)).Q * 0.9
    residual_NC = torch.randn(60, 3, generator=generator, dtype=torch.float64)
    group_N = torch.cat([torch.arange(4), torch.full((6,), 4), torch.full((6,), 5), torch.full((44,), 6)])
    group_N = group_N[torch.randperm(60, generator=generator)]
    answer_NC = leave_out_groups(residual_NC, factor_NA, group_N)
    for group in group_N.unique():
        here = group_N == group
        hat = factor_NA[here] @ factor_NA[here].T
        wanted = torch.linalg.solve(torch.eye(int(here.sum()), dtype=torch.float64) - hat, residual_NC[here])
        torch.testing.assert_close(answer_NC[here], wanted)


def test_a_group_that_decides_its_own_answers_stays_finite():
    factor_NA = torch.full((5, 1), 5**-0.5, dtype=torch.float64)  # the mean of all rows, which are one group
    answer_NC = leave_out_groups(torch.ones(5, 1, dtype=torch.float64), factor_NA, torch.zeros(5, dtype=torch.int64))
    assert answer_NC.isfinite().all()
