"""Tests of skorch that our nets do not pass, by file and reason.

A test without brackets stands for all of its parameters. One that passes is to be taken out.
"""

from __future__ import annotations

SKORCH = "1.4.0"

LOGITS = (
    "the module returns logits where NLLLoss takes probabilities, or probabilities where "
    "CrossEntropyLoss takes logits, which skorch does not look at: refused before the first step"
)
PER_EXAMPLE = (
    "the criterion, or get_loss, returns one number for the batch, but a weight for each example "
    "needs a loss for each: refused, with what to do"
)
CODES = (
    "parameters were loaded, or made, without a fit: what the module returns are codes, and labels "
    "are not known until `fit` is called, or `classes` given. skorch returns the codes"
)
LABELS = "labels are one for each example and among the classes, or are refused"
SIZES = "the module returns a number for more classes than there are, with no `classes`: refused"
HIDDEN_LABELS = "labels have to be known, for they are encoded, and the clean set needs them too"
COLUMN = "a column of labels, or of targets, is taken, as scikit-learn's estimators do"
COPIED = "a module or criterion that is given is copied, so that the user's is not trained"
PASSES = "weights are learned by further passes through module and criterion, which the test counts"
CLEAN_DATA = "the clean set is a data set, too, and the test counts them"
LOSS = "the loss of a step is that of weighted examples and clean ones, and not their plain mean"
DETACHED = "the graph is gone once slopes are known, so that the loss that callbacks see has none"
STEPS = "steps are bounded and their parameters averaged, and training takes another course"
COLUMNS = "the history has the keys of the method, too, which are printed"
FORM = "shown in scikit-learn's form"
OWN_MESSAGE = "an error of our own, that says what to do"
WRAPPED = "an iterator of the user's gets the data set with codes for labels, wrapped, not itself"
TABLE = "a data frame is a table, as in scikit-learn; skorch gives its columns as keyword arguments"
NO_PROBABILITIES = "a regressor has no predict_proba, as in scikit-learn"
DEVICE = "the device has a made-up name, but generators are those of the device"
KEPT = "trimmed nets keep their criterion, which says what the module's output means"
PATCHED = "the test patches the method of the class that ours inherits with ours: it calls itself"

DEVIATIONS: dict[str, dict[str, list[str]]] = {
    "test_net.py": {
        LOGITS: [
            "TestNeuralNet::test_data_dict_and_fit_params",
            "TestNeuralNet::test_fit_params_passed_to_module",
            "TestNeuralNet::test_fit_params_passed_to_module_in_pipeline",
            "TestNeuralNet::test_fit_params_passed_to_train_split",
            "TestNeuralNet::test_predict_nonlinearity_is_identity_with_multiple_criteria",
            "TestNeuralNet::test_with_initialized_module_other_params",
            "TestMetadataRouting::test_backward_compat_fit_params_to_train_split",
            "TestMetadataRouting::test_fit_with_extra_params_and_routing",
            "TestMetadataRouting::test_fit_with_extra_params_does_not_break_valid_split",
            "TestMetadataRouting::test_groups_routed_to_train_split",
            "TestMetadataRouting::test_partial_fit_with_extra_params_and_routing",
            "TestMetadataRouting::test_pipeline_with_routing_enabled",
        ],
        PER_EXAMPLE: [
            "TestNeuralNet::test_change_get_loss",
            "TestNeuralNet::test_criterion_is_not_a_torch_module",
            "TestNeuralNet::test_criterion_non_module",
            "TestNeuralNet::test_criterion_params_passed_to_optimizer_if_any",
            "TestNeuralNet::test_save_load_state_dict_file_with_history_optimizer_criterion",
        ],
        CODES: [
            "TestNeuralNet::test_multioutput_predict",
            "TestNeuralNet::test_predict_with_dataset",
            "TestNeuralNet::test_save_load_state_dict_file",
            "TestNeuralNet::test_save_load_state_dict_str",
        ],
        LABELS: [
            "TestNeuralNet::test_net_variable_label_lengths",
            "TestNeuralNet::test_net_variable_prediction_lengths",
        ],
        COPIED: [
            "TestNeuralNet::test_criteria_reinit_when_both_initialized_but_custom_criterion_changed",
            "TestNeuralNet::test_custom_criterion_is_init_when_default_criterion_already_is",
            "TestNeuralNet::test_custom_module_is_init_when_default_module_already_is",
            "TestNeuralNet::test_modules_reinit_when_both_initialized_but_custom_module_changed",
        ],
        PASSES: ["TestNeuralNet::test_criterion_training_set_correctly"],
        CLEAN_DATA: ["TestNeuralNet::test_net_initialized_with_custom_dataset_args"],
        DETACHED: ["TestNeuralNet::test_no_grad_during_validation"],
        STEPS: ["TestNeuralNet::test_fit_lbfgs_optimizer"],
        LOSS: ["TestNetSparseInput::test_fit_sparse_csr_learns"],
        FORM: [
            "TestNeuralNet::test_repr_fitted_works",
            "TestNeuralNet::test_repr_initialized_works",
            "TestNeuralNet::test_repr_uninitialized_works",
        ],
        OWN_MESSAGE: [
            "TestNeuralNet::test_fit_with_dataset_one_item_error",
            "TestNeuralNet::test_fit_with_dataset_three_items_error",
            "TestNeuralNet::test_net_initialized_with_initalized_dataset_and_kwargs_raises",
        ],
        WRAPPED: ["TestNeuralNet::test_predefined_split"],
        KEPT: ["TestTrimForPrediction::test_criteria_trimmed"],
        DEVICE: [
            "TestNeuralNet::test_moving_custom_modules_to_device",
            "TestNeuralNet::test_set_params_on_custom_module_preserves_its_device",
        ],
    },
    "test_classifier.py": {
        LOGITS: ["TestNeuralNet::test_takes_no_log_without_nllloss"],
        PER_EXAMPLE: ["TestNeuralNet::test_takes_log_with_nllloss"],
        LABELS: [
            "TestNeuralNet::test_pass_classes_explicitly_overrides",
            "TestNeuralNet::test_pass_empty_classes_raises",
        ],
        HIDDEN_LABELS: ["TestNeuralNet::test_error_when_classes_could_not_be_inferred"],
        COLUMN: ["TestNeuralNetBinaryClassifier::test_target_2d_raises"],
    },
    "test_regressor.py": {
        COLUMN: ["TestNeuralNetRegressor::test_dimension_mismatch_warning"],
        NO_PROBABILITIES: [
            "TestNeuralNetRegressor::test_not_init_raises[predict_proba]",
            "TestNeuralNetRegressor::test_predict_predict_proba",
        ],
    },
    "test_dataset.py": {
        HIDDEN_LABELS: [
            "TestNetWithoutY::test_net_1d_custom_loader",
            "TestNetWithoutY::test_net_2d_custom_loader",
        ],
        WRAPPED: ["TestTrainSplitIsUsed::test_steps_called_with_split_data"],
        TABLE: ["TestNetWithPandas::test_fit_predict_proba"],
    },
    "test_doctor.py": {
        PASSES: [
            "TestSkorchDoctorSimple::test_activation_recs_general_content",
            "TestSkorchDoctorSimple::test_activation_recs_not_all_identical",
            "TestSkorchDoctorSimple::test_activation_recs_values",
            "TestSkorchDoctorSimple::test_gradient_recs_general_content",
            "TestSkorchDoctorSimple::test_gradient_recs_not_all_identical",
            "TestSkorchDoctorSimple::test_gradient_recs_values",
            "TestSkorchDoctorSimple::test_param_update_recs_general_content",
            "TestSkorchDoctorSimple::test_param_update_recs_not_all_identical",
            "TestSkorchDoctorSimple::test_param_update_recs_values",
        ],
        PER_EXAMPLE: [
            "TestSkorchDoctorComplexArchitecture::test_activation_recs_general_content",
            "TestSkorchDoctorComplexArchitecture::test_get_layer_names",
            "TestSkorchDoctorComplexArchitecture::test_get_parameter_names",
            "TestSkorchDoctorComplexArchitecture::test_gradient_recs_general_content",
        ],
    },
    "test_scoring.py": {},
    "test_helper.py": {},
    "test_history.py": {},
    "test_utils.py": {},
    "callbacks/test_all.py": {},
    "callbacks/test_logging.py": {
        COLUMNS: [
            "TestPrintLog::test_first_row",
            "TestPrintLog::test_header",
            "TestPrintLog::test_lines",
            "TestPrintLog::test_with_additional_key",
            "TestPrintLog::test_with_event_key",
            "TestPrintLog::test_witout_valid_data",
        ],
    },
    "callbacks/test_lr_scheduler.py": {},
    "callbacks/test_regularization.py": {},
    "callbacks/test_scoring.py": {
        LOSS: ["TestBatchScoring::test_correct_train_loss_values"],
        SIZES: [
            "TestPassthrougScoring::test_correct_train_pass_through_scores",
            "TestPassthrougScoring::test_correct_valid_pass_through_scores",
        ],
        PASSES: ["TestScoringCacheGlobalControl::test_net_overrides_caching"],
    },
    "callbacks/test_training.py": {
        LOGITS: [
            "TestInputShapeSetter::test_module_name",
            "TestInputShapeSetter::test_parameter_name",
            "TestInputShapeSetter::test_shape_set",
            "TestInputShapeSetter::test_shape_set_using_fn",
            "TestParamMapper::test_freezing_is_effective[mod_kwargs1-True]",
        ],
        STEPS: ["TestEarlyStopping::test_weights_restore"],
        PATCHED: [
            "TestInputShapeSetter::test_no_module_reinit_partial_fit",
            "TestInputShapeSetter::test_no_module_reinit_when_already_correct",
            "TestCheckpoint::test_save_all_targets",
            "TestCheckpoint::test_save_all_targets_with_prefix",
            "TestCheckpoint::test_save_all_targets_with_prefix_and_dirname",
            "TestCheckpoint::test_save_custom_module",
            "TestCheckpoint::test_string_monitor_and_formatting",
            "TestTrainEndCheckpoint::test_save_custom_module",
            "TestTrainEndCheckpoint::test_saves_at_end",
            "TestTrainEndCheckpoint::test_saves_at_end_with_custom_formatting",
        ],
    },
}
