"""Votes: the species of an animal is told by what is around it, not by the whole photo."""

import torch
from small_networks import random_images

from camera_trapinator.model import build_model, load_model
from camera_trapinator.networks.votes import NearVotes
from camera_trapinator.networks.weights import adopt
from camera_trapinator.training.checkpoint import load_checkpoint, save_checkpoint


def with_weights(net):
    """The network with votes that differ from place to place."""
    torch.manual_seed(1)
    for weight in net.votes.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return net.eval()


def build(**arguments):
    return build_model("efficientnet_lite0", num_classes=3, working_scale=64, width=4, **arguments)


def test_a_cell_gets_the_mean_vote_of_those_around_it_that_show_an_animal():
    votes = NearVotes(4, 3)
    torch.manual_seed(0)
    for weight in votes.parameters():
        torch.nn.init.normal_(weight)
    cells = torch.randn(1, 4, 6, 9)
    found = votes(cells)
    what, where = votes.what(cells)[0], torch.sigmoid(votes.where(cells))[0, 0]
    for row in range(6):
        for column in range(9):
            near = (slice(max(0, row - 2), row + 3), slice(max(0, column - 2), column + 3))
            total = (what[:, *near] * where[near]).sum(dim=(1, 2))
            expected = total / (where[near].sum() + NearVotes.LEAST)
            assert torch.allclose(found[0, :, row, column], expected, atol=1e-5)


def test_what_stands_far_away_has_no_vote():
    votes = NearVotes(4, 3)
    for weight in votes.parameters():
        torch.nn.init.normal_(weight)
    cells = torch.randn(1, 4, 5, 12)
    other = cells.clone()
    other[..., 6:] = torch.randn(1, 4, 5, 6)  # another neighbour on the right
    assert torch.equal(votes(cells)[..., :4], votes(other)[..., :4])
    assert not torch.allclose(votes(cells)[..., 4:], votes(other)[..., 4:])


def test_at_the_start_the_votes_change_nothing():
    net, images = build().eval(), random_images(2, 64, 96)
    before = net(images)
    assert not net.votes(torch.randn(1, 1280, 2, 3)).any()
    with torch.no_grad():
        net.votes.what.weight[1] = 1.0
    added = (net(images) - before).detach()
    assert not added[:, [0, 2]].any() and added[:, 1].any()


def test_a_checkpoint_of_before_predicts_as_it_did(tmp_path):
    """Its vote is that of the whole photo, and its state has another name."""
    old, images = with_weights(build(votes="photo")), random_images(2, 41, 70)
    logits = old(images)
    votes = old.votes.weight @ old.encoder(old.prepare(images))[-1].mean(dim=(2, 3)).T
    with torch.no_grad():
        old.votes.weight.zero_()
        without = old(images)
        old.votes.weight.copy_(with_weights(build(votes="photo")).votes.weight)
    assert torch.allclose(logits - without, votes.T[:, :, None, None].expand_as(logits), atol=1e-4)
    state = {name.replace("votes.weight", "scene.weight"): weight
             for name, weight in old.state_dict().items()}
    arguments = {name: value for name, value in old.arguments.items() if name != "votes"}
    save_checkpoint(tmp_path / "old.pt", {"model_arguments": arguments, "model": state,
                                          "training": state})
    again = load_model(load_checkpoint(tmp_path / "old.pt")).eval()
    assert torch.equal(again(images), logits) and again.temperature == 1

    # A new run that begins with it takes the vote over, and gives it to each place.
    new = build()
    adopt(new, ["background", "fox", "owl"], old.state_dict(), ["background", "hare", "fox"])
    assert torch.equal(new.votes.what.weight[1, :, 0, 0], old.votes.weight[2])
    assert not new.votes.what.weight[2].any() and not new.votes.where.weight.any()
