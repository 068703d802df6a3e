import copy
import pickle

import pytest
import torch
from torch import nn
from torch_geometric.data import Batch, Data

from graphssl.encoders import Layer, Stack, build_encoder
from graphssl.encoders.activations import make_activation
from graphssl.errors import ConfigurationError, InvalidGraphError, UnknownNameError, UnknownOptionError
from graphssl.ops import PReLU
from graphssl.registry import ENCODERS

NAMES = ENCODERS.names()
every = pytest.mark.parametrize("name", NAMES)
CONFIGURATIONS = {
    "default": {},
    "rich": {"num_layers": 3, "skip": True, "jumping": "cat", "norm": "graph", "activation": "elu"},
    "plain-end": {"final_activation": False, "norm": "batch", "out_channels": 4},
}
configured = pytest.mark.parametrize("options", CONFIGURATIONS.values(), ids=list(CONFIGURATIONS))


def graph(seed, n=6, edges=14, features=5):
    generator = torch.Generator().manual_seed(seed)
    edge_index = torch.randint(n, (2, edges), generator=generator)  # with duplicates and isolated nodes
    edge_index[:, 0] = 2  # one loop; of several on one node gcn keeps the last, so that their order matters
    loops = edge_index[0, 1:] == edge_index[1, 1:]
    edge_index[1, 1:][loops] = (edge_index[1, 1:][loops] + 1) % n
    weight = torch.rand(edges, generator=generator)
    return Data(x=torch.randn(n, features, generator=generator), edge_index=edge_index, edge_weight=weight)


def build(name, **options):
    torch.manual_seed(0)
    return build_encoder(name, 5, hidden_channels=8, **options)


def trained(encoder):
    """The encoder in eval mode, with running statistics that have seen something."""
    for seed in range(3):
        encoder(graph(seed))
    return encoder.eval()


@every
@configured
def test_shape_and_gradient(name, options):
    encoder = build(name, **options)
    data = graph(0)
    before = data.clone()
    out = encoder(data)
    assert out.shape == (6, encoder.out_channels)
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())
    assert all(torch.equal(data[key], before[key]) for key in data.to_dict())


@every
@configured
def test_relabelling_nodes_relabels_rows(name, options):
    encoder, data = trained(build(name, **options)), graph(7)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(1))
    place = torch.argsort(order)  # node order[i] becomes node i
    edges = torch.randperm(14, generator=torch.Generator().manual_seed(2))
    moved = Data(x=data.x[order], edge_index=place[data.edge_index[:, edges]], edge_weight=data.edge_weight[edges])
    torch.testing.assert_close(encoder(moved), encoder(data)[order], atol=1e-5, rtol=1e-4)


@every
@configured
def test_batch_equals_its_graphs_alone(name, options):
    encoder = trained(build(name, **options))
    lonely = Data(x=torch.ones(1, 5), edge_index=torch.empty(2, 0, dtype=torch.long), edge_weight=torch.empty(0))
    graphs = [graph(1), lonely, graph(2, n=9, edges=3), lonely]
    together = encoder(Batch.from_data_list(graphs))
    torch.testing.assert_close(together, torch.cat([encoder(g) for g in graphs]), atol=1e-5, rtol=1e-4)


@every
@configured
def test_same_seed_same_bits_and_round_trips(name, options):
    data = graph(3)
    encoder = trained(build(name, **options))
    out = encoder(data)
    assert torch.equal(out, encoder(data))
    assert torch.equal(out, trained(build(name, **options))(data))
    assert torch.equal(out, pickle.loads(pickle.dumps(encoder))(data))
    assert torch.equal(out, copy.deepcopy(encoder)(data))
    torch.manual_seed(99)
    other = build_encoder(name, 5, hidden_channels=8, **options).eval()
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(out, other(data))


@every
def test_reset_draws_new_parameters_of_the_same_law(name):
    encoder = trained(build(name, norm="batch"))
    old = copy.deepcopy(encoder.state_dict())
    torch.manual_seed(1)
    encoder.reset_parameters()
    fresh = build(name, norm="batch").state_dict()
    for key, value in encoder.state_dict().items():
        if value.dim() == 2:
            assert not torch.equal(value, old[key])
            torch.testing.assert_close(value.std(), fresh[key].std(), rtol=0.5, atol=0.0)
        if "running" in key or "tracked" in key:
            assert torch.equal(value, fresh[key])


@every
@pytest.mark.parametrize("n", [1, 2])
def test_tiny_training_batches_do_not_crash(name, n):
    encoder = build(name, norm="batch")
    data = Data(x=torch.randn(n, 5), edge_index=torch.empty(2, 0, dtype=torch.long))
    before = copy.deepcopy(encoder.state_dict())
    assert encoder(data).isfinite().all()
    if n == 1:  # the running statistics are used, not changed
        assert all(torch.equal(before[key], value) for key, value in encoder.state_dict().items())


def test_widths():
    encoder = build_encoder("gcn", 5, hidden_channels=16, out_channels=3, num_layers=3)
    assert [tuple(layer.weight.shape) for layer in encoder.layers] == [(5, 16), (16, 16), (16, 3)]
    assert (encoder.in_channels, encoder.out_channels) == (5, 3)
    assert build_encoder("mlp", 5).out_channels == 256
    cat = build_encoder("gin", 5, hidden_channels=32, num_layers=3, jumping="cat")
    assert cat.out_channels == 96


def test_stack_equals_its_formula():
    data = graph(0)
    encoder = build("mlp", num_layers=2, activation="tanh", skip=True)
    maps = [layer.map for layer in encoder.layers]
    first = torch.tanh(maps[0](data.x) + data.x @ encoder.skips[0].weight.T)
    second = torch.tanh(maps[1](first) + first)
    torch.testing.assert_close(encoder(data), second)


@pytest.mark.parametrize(
    ("jumping", "combine"),
    [
        ("cat", lambda outs: torch.cat(outs, 1)),
        ("max", lambda outs: torch.maximum(*outs)),
        ("sum", lambda outs: outs[0] + outs[1]),
        ("last", lambda outs: outs[1]),
        (None, lambda outs: outs[1]),
    ],
)
def test_jumping_combines_the_layers(jumping, combine):
    data = graph(0)
    encoder = build("mlp", activation="tanh", jumping=jumping)
    first = torch.tanh(encoder.layers[0].map(data.x))
    outs = [first, torch.tanh(encoder.layers[1].map(first))]
    torch.testing.assert_close(encoder(data), combine(outs))


def test_norm_stands_before_the_activation_but_after_it_in_gin():
    data = graph(0)
    gcn = build("gcn", num_layers=1, norm="batch", activation="relu")(data)
    assert (gcn >= 0).all()
    gin = build("gin", num_layers=1, activation="relu")(data)  # batch normalisation is GIN's own default
    torch.testing.assert_close(gin.mean(0), torch.zeros(8), atol=1e-5, rtol=0)
    bare = build("gin", num_layers=1, activation="relu", norm="none")(data)
    assert (bare >= 0).all()


def test_plain_end_has_neither_norm_nor_activation():
    data = graph(0)
    encoder = build("gcn", norm="batch", final_activation=False)
    assert {key.split(".")[1] for key in encoder.state_dict() if key.startswith(("norms", "activations"))} == {"0"}
    assert (encoder(data) < 0).any()


def test_layer_norm_and_graph_norm_stay_within_their_scope():
    batch = Batch.from_data_list([graph(0), graph(1, n=8)])
    layer = build("mlp", num_layers=1, norm="layer", activation="identity")(batch)
    torch.testing.assert_close(layer.mean(1), torch.zeros(14), atol=1e-5, rtol=0)
    by_graph = build("mlp", num_layers=1, norm="graph", activation="identity")(batch)
    for rows in (by_graph[:6], by_graph[6:]):
        torch.testing.assert_close(rows.mean(0), torch.zeros(8), atol=1e-5, rtol=0)


def test_dropout_acts_on_inputs_in_training_only():
    data = Data(x=torch.ones(500, 4), edge_index=torch.empty(2, 0, dtype=torch.long))
    encoder = build_encoder("mlp", 4, hidden_channels=4, num_layers=1, dropout=0.25, activation="identity")
    with torch.no_grad():
        encoder.layers[0].map.weight.copy_(torch.eye(4))
        encoder.layers[0].map.bias.zero_()
    out = encoder(data)
    dropped = int((out == 0).sum())
    assert abs(dropped - 500) < 5 * (2000 * 0.25 * 0.75) ** 0.5
    torch.testing.assert_close(out[out != 0].unique(), torch.tensor([1 / 0.75]))
    assert torch.equal(encoder.eval()(data), data.x)


@pytest.mark.parametrize("shape", [(7,), (4, 3)])
def test_prelu_equals_torch(shape):
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    ours, theirs = PReLU().double(), nn.PReLU().double()
    theirs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(x), theirs(x))
    run = lambda x, slope: torch.func.functional_call(ours, {"weight": slope}, (x,))  # noqa: E731
    assert torch.autograd.gradcheck(run, (x, ours.weight))
    assert torch.autograd.gradgradcheck(run, (x, ours.weight))


@pytest.mark.parametrize("name", ["relu", "prelu", "rrelu", "elu", "leaky-relu", "gelu", "tanh", "identity"])
def test_activation_keeps_shape(name):
    assert make_activation(name)(torch.randn(4, 3)).shape == (4, 3)


@pytest.mark.parametrize(
    ("error", "message", "options"),
    [
        (UnknownNameError, "did you mean 'gcn'", {"encoder": "gcnn"}),
        (UnknownNameError, "did you mean 'prelu'", {"activation": "prelo"}),
        (UnknownNameError, "did you mean 'batch'", {"norm": "bach"}),
        (UnknownNameError, "cat", {"jumping": "lstm"}),
        (UnknownOptionError, "did you mean 'heads'", {"encoder": "gat", "options": {"head": 2}}),
        (ConfigurationError, "multiple of heads=4", {"encoder": "gat", "out_channels": 6}),
        (ConfigurationError, "jumping='cat'", {"jumping": "max", "out_channels": 4}),
        (ConfigurationError, "dropout", {"dropout": 1.5}),
        (ConfigurationError, "num_layers", {"num_layers": 0}),
        (ConfigurationError, "hidden_channels", {"hidden_channels": -3}),
        (ConfigurationError, "hidden_channels", {"hidden_channels": (256, 128)}),
        (UnknownOptionError, "did you mean 'dropout'", {"further": {"dropot": 0.1}}),
    ],
)
def test_bad_options_are_named(error, message, options):
    with pytest.raises(error, match=message):
        build_encoder(**{"encoder": "gcn", "in_channels": 5, "hidden_channels": 8, **options})


@every
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": None}, "with_features"),
        ({"x": torch.ones(6, 4)}, r"\(N, 5\).*\(6, 4\)"),
        ({"x": torch.ones(6)}, r"\(6,\)"),
        ({"x": torch.ones(6, 5, dtype=torch.long)}, "floating"),
        ({"edge_index": torch.tensor([[0], [6]])}, "node 6"),
        ({"edge_index": None}, "edge_index"),
    ],
)
def test_bad_graphs_are_named(name, change, message):
    if name == "mlp" and "edge_index" in change:
        pytest.skip("an MLP reads no edges")
    data = graph(0)
    data.edge_weight = None
    for key, value in change.items():
        data[key] = value
    with pytest.raises(InvalidGraphError, match=message):
        build(name)(data)


def test_further_options_go_before_those_by_name():
    encoder = build_encoder("gcn", 5, hidden_channels=8, norm="batch", further={"norm": "layer", "hidden_channels": 6})
    assert encoder.out_channels == 6
    assert {type(norm).__name__ for norm in encoder.norms} == {"LayerNorm"}


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_features_of_another_precision_are_named(dtype):
    data = graph(0)
    data.x = data.x.to(dtype)
    with pytest.raises(InvalidGraphError, match=r"torch\.float32, as the encoder's weights"):
        build("gcn")(data)
    assert build("gcn").to(dtype)(data).dtype == dtype


@pytest.mark.parametrize("encoder", ["gcn", "gin", "sage", "gat"])
def test_a_users_degrees_are_only_attributes(encoder):
    data = graph(0)
    expected = build(encoder)(data)
    data.in_degree, data.norm_degree = torch.rand(data.num_nodes), torch.rand(data.num_nodes)
    assert torch.equal(build(encoder)(data), expected)


def test_gat_asks_for_dense_features():
    data = graph(0)
    data.x = data.x.to_sparse()
    with pytest.raises(InvalidGraphError, match="to_dense"):
        build("gat")(data)


def test_a_users_layer_needs_one_class():
    @ENCODERS.register("twice-for-test")
    class Twice(Layer):
        def __init__(self, in_channels, out_channels, *, factor=2.0):
            super().__init__()
            self.map, self.factor = nn.Linear(in_channels, out_channels), factor

        def forward(self, x, data):
            return self.factor * self.map(x)

    try:
        encoder = build("twice-for-test", num_layers=1, activation="identity", options={"factor": 3.0})
        data = graph(0)
        torch.testing.assert_close(encoder(data), 3 * encoder.layers[0].map(data.x))
        assert isinstance(encoder, Stack)
    finally:
        ENCODERS.remove("twice-for-test")


@pytest.mark.gpu
@every
@configured
def test_gpu_equals_cpu(name, options):
    encoder, data = trained(build(name, **options)), graph(4)
    out = encoder(data)
    torch.testing.assert_close(encoder.cuda()(data.cuda()).cpu(), out, atol=1e-4, rtol=1e-3)
    if name != "gat":
        data.x = data.x.to_sparse_csr()
        torch.testing.assert_close(encoder(data.cuda()).cpu(), out, atol=1e-4, rtol=1e-3)
