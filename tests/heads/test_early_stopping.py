import math

from vitrail.heads.early_stopping import EarlyStopping


def test_a_scripted_loss_stops_patience_epochs_after_its_least():
    stop = EarlyStopping(patience=3)
    for epoch, loss in enumerate([5.0, 4.0, 4.0, 3.0, math.nan, 3.5, 3.0], start=1):
        stop.improved(epoch, loss)
        assert stop.exhausted(epoch) is (epoch == 7)
    assert (stop.best_epoch, stop.best_loss) == (4, 3.0)
