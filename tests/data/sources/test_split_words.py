from vitrail.data.sources.split_words import split_folders, split_in_name


def test_one_word_of_a_name_may_be_a_split():
    assert split_in_name("Train") == ("train", "")
    assert split_in_name("seg_test") == ("test", "seg_")
    assert split_in_name("VALID-2017") == ("val", "-2017")
    assert split_in_name("TestImages") == ("test", "images")
    assert split_in_name("trainset") == ("train", "set")
    assert split_in_name("validationset") == ("val", "set")
    assert split_in_name("trainer") is None
    assert split_in_name("contest") is None
    assert split_in_name("train_test") is None


def test_names_that_are_nothing_but_the_word_come_first():
    assert split_folders(["train", "test", "train_masks", "test_masks"]) == {"train": "train", "test": "test"}
    assert split_folders(["a_train", "a_test", "b_train", "b_test"]) == {}
