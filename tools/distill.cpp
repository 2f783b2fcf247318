// pare distill MODEL --teacher FILE: train a student on soft targets.
#include "tools/summary.h"
#include "tools/training.h"

namespace pare::tool {
namespace {

struct DistillCommand {
  CommonOptions common;
  TrainingFlags flags;
  std::string model;

  void run() {
    common.apply();
    check(!flags.teacher.empty(), "name the teacher: --teacher FILE");
    check(!names_file(model),
          "'{}' is a file; a student is a new network, by its name (mlp, lenet5, ...). A saved one "
          "is trained on with a teacher by pare train {} --teacher {}",
          model, model, flags.teacher);
    check_model_name(model, "no network that a student could be");
    Graph teacher = open_model(flags.teacher);
    const Dataset data = open_data(common, teacher);
    Graph student = new_model(model, data, common.seed);
    TrainOptions options = default_recipe(model, data);
    describe_model(student, model, data);
    apply_flags(flags, common, student, options);
    options.out = training_output(common, model, "-distilled", flags.teacher);
    check_effects(flags, common, options, data);
    const Device device = common.device_for(student, Use::training);
    check_precision(flags, device);
    to_device(student, device);
    to_device(teacher, device);
    Trainer trainer(student, data, options);
    set_task_loss(trainer, options.task, student);
    const Evaluation of_teacher = evaluate(teacher, data.test, data.preprocessing);
    note(common, "teacher {}: test accuracy {}; student {}: alpha {}, temperature {}",
         flags.teacher, percent(of_teacher.accuracy), model, flags.alpha, flags.temperature);
    const TrainReport report = run_training(trainer, resume_command(common, "train", options.out));
    const Evaluation test =
        evaluate(student, data.test, data.preprocessing, 250, ErrorCode::diverged);
    Json json = facts_of_training(student, data, report, trainer.recorded(), test, options.out);
    json["teacher_accuracy"] = of_teacher.accuracy;
    print_result(common, json,
                 fmt::format("student {} (teacher {}); saved {} ({})", percent(test.accuracy),
                             percent(of_teacher.accuracy), options.out,
                             human_bytes(double(file_bytes(options.out)))));
  }
};

}  // namespace

void add_distill(CLI::App& app) {
  auto* command = app.add_subcommand("distill", "train a model on a teacher's soft targets");
  command->footer("Example: pare distill mlp --teacher lenet5.pare --temperature 4 --alpha 0.1");
  auto o = std::make_shared<DistillCommand>();
  command->add_option("model", o->model, "the student: a named model")->required();
  add_common(*command, o->common, with_data | with_out | with_seed | with_batch | with_device);
  add_training(*command, o->flags);
  command->callback([o] { o->run(); });
}

}  // namespace pare::tool
