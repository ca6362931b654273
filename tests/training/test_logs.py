from PIL import Image

from worldmodel.training.logs import MetricLog, plot_metrics, read_metrics


def test_a_resumed_log_has_no_line_twice(tmp_path):
    log = MetricLog(tmp_path, first_step=0)
    for step in range(1, 6):
        log.write(step, float(step), {"loss": 1 / step})
    log.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "los')  # cut off by a kill
    log = MetricLog(tmp_path, first_step=3)
    log.write(4, 4.0, {"loss": 7.0})
    log.close()
    assert [(line["step"], line["loss"]) for line in read_metrics(tmp_path)] == [(1, 1), (2, 0.5), (3, 1 / 3), (4, 7)]


def test_curves_are_drawn(tmp_path):
    log = MetricLog(tmp_path, first_step=0)
    for step in range(1, 20):
        log.write(step, 3.0 * step, {"loss": 1 / step, "psnr_model_4": 20.0 + step, "psnr_repeat_4": 18.0})
    log.close()
    plot_metrics(tmp_path, tmp_path / "curves.png", "test")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 500 and len(picture.convert("L").getcolors() or [0] * 300) > 5
    plot_metrics(tmp_path / "nothing", tmp_path / "none.png", "test")
    assert not (tmp_path / "none.png").exists()
