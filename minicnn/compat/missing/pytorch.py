"""The names of torch that are missing. The first row of a name counts; the rows of a place come before those of "*"."""

from __future__ import annotations

from .rows import Gap

_DENSE = "tensors are dense, minicnn.strided"
_REAL = "tensors are real; keep the real and the imaginary part as two tensors"
_QUANTISED = "there is no quantisation; compute in minicnn.float32"
_NUMBERED = "axes have numbers, not names"
_FFT = "use numpy.fft on x.numpy(), without gradients"
_INSIDE = "it belongs to PyTorch's internals, which minicnn does not have; leave it out"
_DEVICES = "the devices are minicnn.device('cpu') and minicnn.device('cuda'), which minicnn.cuda knows"
_CUPY = "CuPy does the work of a GPU, and minicnn.cuda has the names that programs need; docs/gpu.md describes it"
_DECOMPOSITION = "use the decompositions of minicnn.linalg (qr, svd, eigh, cholesky), or scipy.linalg on x.numpy()"
_MEMORY = "a tensor's memory is its NumPy array, x.numpy(); numpy.lib.stride_tricks makes views of it"
_MIXED = "there is no mixed precision: minicnn.autocast and minicnn.GradScaler are there and change nothing"
_SCRIPT = "there is no compiler: minicnn.jit.script gives the module itself; save weights with minicnn.save"
_PLAIN = "modules run as plain Python; "
_ONE = "training runs in one process, on all cores: "
_PIPES = "there are no data pipes; use a minicnn.utils.data.Dataset with __len__ and __getitem__"

ROWS = [
    # ------------------------------------------------------------------------------------------------- types of tensors
    Gap("* Tensor", "bfloat16", "NumPy has no bfloat16; use minicnn.float32"),
    Gap("*", "BFloat16*", "NumPy has no bfloat16; use minicnn.float32"),
    Gap("* Tensor", "imag conj_physical_ cdouble cfloat chalf", _REAL),
    Gap("*", "complex complex32 complex64 complex128 Complex* polar view_as_complex* view_as_real*", _REAL),
    Gap("*", "float8_* float4_* uint1 uint2 uint3 uint4 uint5 uint6 uint7 int1 int2 int3 int4 int5 int6 int7 bit "
        "bits*", "there is no type of so few bits; use minicnn.float16, minicnn.int8 or minicnn.uint8"),
    Gap("minicnn", "uint16 uint32 uint64", "the integers are minicnn.uint8, int8, int16, int32 and int64; use a "
        "wider one"),
    Gap("* Tensor", "dequantize int_repr qscheme q_per_channel_axis q_per_channel_scales "
        "q_per_channel_zero_points q_scale q_zero_point", _QUANTISED),
    Gap("*", "quantization quantize_* quantized* quantizable fake_quantize_* fused_moving_avg_* empty_quantized "
        "qint8 qint32 quint* QInt* QUInt* per_channel_* per_tensor_* choose_qparams_* fbgemm_* ao qat intrinsic "
        "mkldnn_linear_*", _QUANTISED),
    Gap("* Tensor", "coalesce sparse_dim sparse_mask sparse_resize_ sparse_resize_and_clear_ "
        "resize_as_sparse_ ccol_indices col_indices crow_indices row_indices dense_dim "
        "to_padded_tensor to_mkldnn to_sparse to_sparse_bsc to_sparse_bsr "
        "to_sparse_coo to_sparse_csc to_sparse_csr smm sspaddmm", _DENSE),
    Gap("*", "legacy_contiguous_format sparse sparse_coo* sparse_cs* sparse_bs* sparse_compressed* "
        "sparse_support_notes ccol_indices_copy col_indices_copy row_indices_copy crow_indices_copy hspmm hsmm "
        "dsmm spmm saddmm jagged nested segment_reduce", _DENSE),
    Gap("minicnn Tensor", "indices values indices_copy values_copy", _DENSE),
    Gap("minicnn Tensor", "resize resize_as", "use x.reshape(...), or minicnn.empty and "
        "x.copy_(...)"),
    Gap("* Tensor", "storage storage_type set_ as_strided_ as_strided_scatter "
        "const_data_ptr new_empty_strided is_set_to dim_order slice_inverse", _MEMORY),
    Gap("*", "*Storage StorageBase *StorageContext is_storage as_strided_copy empty_permuted", _MEMORY),
    Gap("minicnn", "from_file", "use minicnn.from_numpy(numpy.memmap(file, dtype, shape=shape))"),
    Gap("minicnn", "frombuffer", "use minicnn.from_numpy(numpy.frombuffer(buffer, dtype))"),
    Gap("minicnn", "to_dlpack", "use minicnn.utils.dlpack.to_dlpack, or hand over the tensor itself, which has "
        "__dlpack__"),
    Gap("minicnn", "types", "use minicnn.Tensor, minicnn.device, int and float in annotations"),
    Gap("* Tensor", "names rename rename_ align_to align_as refine_names has_names", _NUMBERED),
    Gap("*", "align_tensors *dimname*", _NUMBERED),
    Gap("Tensor", "name volatile grad_dtype module_load hash_tensor", _INSIDE),
    Gap("minicnn", "hash_tensor", "use hash(x.numpy().tobytes())"),
    Gap("Tensor", "as_subclass", "use the class itself on the tensor: Sub(x)"),
    Gap("Tensor", "reinforce", "write the loss -log_prob * reward, and call backward()"),
    Gap("* Tensor", "ipu xpu mtia cuda_", _DEVICES),
    Gap("Tensor", "record_stream", "keep the tensor until the stream that uses it is done: "
        "minicnn.cuda.current_stream().synchronize()"),
    Gap("minicnn", "mps hpu xla vulkan is_vulkan_available cpu windows get_device_module get_device",
        _DEVICES),
    Gap("minicnn", "is_distributed is_shared", "tensors are neither distributed nor shared between processes: "
        "it is False"),
    Gap("minicnn", "is_inference", "tensors made in minicnn.inference_mode are ordinary tensors: it is False"),
    # ------------------------------------------------------------------------------------------------------ mathematics
    Gap("* Tensor", "eig eigvals", _REAL + "; minicnn.linalg.eigh takes symmetric matrices"),
    Gap("minicnn Tensor", "symeig", "use minicnn.linalg.eigh"),
    Gap("minicnn Tensor", "solve lstsq matrix_rank", "use minicnn.linalg.{name}"),
    Gap("minicnn Tensor", "triangular_solve", "use minicnn.linalg.solve_triangular"),
    Gap("* Tensor", "geqrf lu lu_solve orgqr ormqr lobpcg lu_factor* lu_unpack svd_lowrank pca_lowrank ldl_* "
        "householder_product solve_ex", _DECOMPOSITION),
    Gap("*", "common_notes has_lapack has_mkl", _INSIDE),
    Gap("* Tensor", "stft istft", _FFT),
    Gap("*", "fft has_spectral", _FFT),
    Gap("*", "signal *_window", "use scipy.signal.windows and minicnn.from_numpy"),
    Gap("special", "airy_ai bessel_* chebyshev_* gammainc gammaincc hermite_* laguerre_* legendre_* modified_bessel_* "
        "scaled_modified_* shifted_* spherical_*", "use scipy.special on x.numpy(), without gradients"),
    Gap("* Tensor", "igamma igamma_ igammac igammac_",
        "use scipy.special on x.numpy(), without gradients"),
    Gap("minicnn", "binomial", "draw with numpy.random, or sum minicnn.bernoulli"),
    Gap("minicnn", "quasirandom", "use scipy.stats.qmc and minicnn.from_numpy"),
    Gap("minicnn", "range", "use minicnn.arange, which leaves the end out"),
    Gap("minicnn", "fill", "use minicnn.full_like(x, value)"),
    Gap("minicnn", "frobenius_norm nuclear_norm", "use minicnn.linalg.matrix_norm"),
    Gap("minicnn Tensor", "nonzero_static", "use minicnn.nonzero"),
    Gap("Tensor", "index", "use x[...]"),
    Gap("minicnn", "vectorize*", "use NumPy on x.numpy(), or minicnn's operations"),
    Gap("minicnn", "split_with_sizes_copy alias_copy detach detach_ detach_copy diagonal_copy_ expand_copy "
        "permute_copy select_copy slice_copy split_copy squeeze_copy t_copy transpose_copy unbind_copy unfold_copy "
        "unsqueeze_copy view_copy", "use the method of the tensor, such as x.detach(), and x.clone() for memory of "
        "its own"),
    Gap("minicnn Tensor", "unsafe_split_with_sizes", "use minicnn.split_with_sizes"),
    # ----------------------------------------------------------------------------------------------------------- layers
    Gap("minicnn", "channels_last_3d", "volumes (N, C, D, H, W) are contiguous; leave memory_format out"),
    Gap("*", "convert_conv3d_weight_memory_format", "volumes are contiguous; leave the call out"),
    Gap("*", "conv_tbc", "use minicnn.nn.functional.conv1d on x.permute(1, 2, 0), and turn the result back"),
    Gap("*", "RNN* LSTM* GRU* rnn_* lstm* gru* miopen_rnn mkldnn_rnn_layer", "sequence models are left out; "
        "write the recurrence as a loop over minicnn.nn.Linear and minicnn.tanh"),
    Gap("nn.utils.rnn", "PackedSequence pack_padded_sequence pad_packed_sequence pack_sequence invert_permutation",
        "sequence models are left out; pad_sequence joins sequences, and a mask of their lengths says what is padding"),
    Gap("nn", "attention", "use minicnn.nn.functional.scaled_dot_product_attention; there is one way to "
        "compute it"),
    Gap("minicnn", "scaled_dot_product_attention", "use minicnn.nn.functional.scaled_dot_product_attention"),
    Gap("minicnn", "embedding embedding_bag embedding_renorm_", "use minicnn.nn.functional.embedding and "
        "embedding_bag"),
    Gap("*", "CTCLoss ctc_loss miopen_ctc_loss", "sequence models and their losses are left out"),
    Gap("nn", "AdaptiveLogSoftmaxWithLoss", "sequence models are left out; use minicnn.nn.CrossEntropyLoss"),
    Gap("*", "LinearCrossEntropy* linear_cross_entropy", "use minicnn.nn.functional.cross_entropy of a "
        "minicnn.nn.Linear"),
    Gap("nn", "NLLLoss2d", "use minicnn.nn.NLLLoss, which takes images too"),
    Gap("*", "grid_sampler* cudnn_grid_sampler GRID_SAMPLE_* affine_grid_generator cudnn_affine_grid_generator",
        "use minicnn.nn.functional.grid_sample and affine_grid"),
    Gap("nn nn.functional", "common_types factory_kwargs BroadcastingList* assert_int_or_pair boolean_dispatch "
        "ScalingType SwizzleType reproducibility_notes tf32_notes", _INSIDE),
    Gap("nn.functional", "Tensor", "it is minicnn.Tensor"),
    Gap("*", "grouped_mm scaled_grouped_mm scaled_mm", "use minicnn.bmm, or minicnn.matmul group by group"),
    Gap("nn nn.parallel", "parallel_apply replicate scatter gather data_parallel comm distributed scatter_gather "
        "DistributedDataParallelCPU", _ONE + "use the module itself"),
    Gap("nn.utils", "memory_format convert_conv2d_weight_memory_format", "use "
        "module.to(memory_format=minicnn.channels_last)"),
    Gap("minicnn", "batch_norm_* cudnn_* miopen_* mkldnn_* native_* convolution constant_pad_nd norm_except_dim "
        "feature_dropout feature_dropout_ dropout_", "PyTorch's inner kernels are not here; use the function of "
        "minicnn.nn.functional"),
    Gap("nn.functional", "native_channel_shuffle", "use minicnn.nn.functional.channel_shuffle"),
    # ---------------------------------------------------------------------------------------------------- optimisation
    Gap("optim", "SparseAdam", "tensors are dense; use minicnn.optim.Adam"),
    Gap("optim", "swap_in_optimizer_params_and_state", _INSIDE),
    # --------------------------------------------------------------------------------------------------------- autograd
    Gap("minicnn", "functional", "the functions are in minicnn itself, such as minicnn.einsum; those of layers in "
        "minicnn.nn.functional"),
    Gap("minicnn", "hessian jvp vjp hvp vhp jacobian gradgradcheck", "they are in minicnn.autograd.functional, and "
        "gradgradcheck in minicnn.autograd"),
    Gap("autograd", "hessian jvp vjp hvp vhp jacobian", "they are in minicnn.autograd.functional"),
    Gap("autograd minicnn", "forward_ad", "use minicnn.func.jvp"),
    Gap("autograd minicnn", "jacrev jacfwd", "they are in minicnn.func"),
    Gap("func", "functionalize debug_unwrap", _INSIDE),
    Gap("autograd", "vmap", "it is minicnn.vmap"),
    Gap("autograd", "SavedTensor", "minicnn.autograd.graph.saved_tensors_hooks changes how tensors are saved"),
    Gap("autograd autograd.function", "NestedIOFunction",
        "use minicnn.autograd.Function, with a tensor for each argument"),
    Gap("autograd", "grad_mode", "use minicnn.no_grad, minicnn.enable_grad and minicnn.set_grad_enabled"),
    Gap("autograd", "anomaly_mode", "use minicnn.autograd.detect_anomaly"),
    Gap("minicnn", "is_anomaly_enabled is_anomaly_check_nan_enabled set_anomaly_enabled",
        "use minicnn.autograd.detect_anomaly or minicnn.autograd.set_detect_anomaly"),
    Gap("autograd", "is_multithreading_enabled is_view_replay_enabled enforce_grad_layout_policy is_tensor_like "
        "DeviceType", _INSIDE),
    Gap("*", "profiler profiler_* kineto_available Profiler* monitor profile_hook_step",
        "use Python's cProfile; minicnn.compare_algorithms times a convolution, and so does `minicnn bench conv`"),
    # ----------------------------------------------------------------------------------------------- data and utilities
    Gap("utils", "collect_env", "use `minicnn doctor`"),
    Gap("utils", "benchmark bottleneck *hroughput*enchmark", "use Python's timeit or cProfile; "
        "minicnn.compare_algorithms times a convolution"),
    Gap("utils", "cpp_extension cpp_backtrace get_cpp_backtrace cmake_prefix_path *privateuse1* backend_registration "
        "backcompat deterministic set_module weak mobile_optimizer", _INSIDE),
    Gap("utils", "swap_tensors", "use x.data, y.data = y.data, x.data"),
    Gap("utils.checkpoint", "CheckpointFunction CheckpointPolicy *SelectiveCheckpoint* *selective* "
        "DefaultDeviceType GraphExecGroup SAC_IGNORED_OPS *_device_states check_backward_validity detach_variable "
        "set_checkpoint_debug_enabled *DispatchMode LoggingTensorMode capture_logs fx_traceback SavedTensor "
        "tree_map", "use minicnn.utils.checkpoint.checkpoint, which computes again what the function saves"),
    Gap("utils.data", "*IterDataPipe MapDataPipe DataChunk datapipes functional_datapipe argument_validation "
        "guaranteed_datapipes_determinism non_deterministic runtime_validation* graph graph_settings", _PIPES),
    Gap("utils.data", "DistributedSampler distributed", _ONE + "use minicnn.utils.data.RandomSampler"),
    Gap("utils.data", "_DatasetKind", _INSIDE),
    Gap("utils.data", "_utils", "its collate.default_collate and default_convert are minicnn.utils.data."
        "default_collate and minicnn.utils.data.default_convert, its worker.get_worker_info "
        "minicnn.utils.data.get_worker_info; minicnn has nothing else of it"),
    # ------------------------------------------------------------------------------------ running, compiling, exporting
    Gap("accelerator", "*", "there are {there}; more functions of GPUs are in minicnn.cuda"),
    Gap("distributed", "*", _ONE + "ask minicnn.distributed.is_available(), which is False, before you use it"),
    Gap("minicnn", "rpc futures", _ONE + "take a larger batch, or minicnn.set_num_threads"),
    Gap("minicnn", "multiprocessing", "use Python's multiprocessing; minicnn.utils.data.DataLoader has worker "
        "processes"),
    Gap("minicnn", "prepare_multiprocessing_environment", "use Python's multiprocessing"),
    Gap("minicnn", "compiler _dynamo _inductor", _PLAIN + "minicnn.compile gives a module or function back unchanged"),
    Gap("minicnn", "cond while_loop", _PLAIN + "write the Python if or while"),
    Gap("minicnn", "onnx", "nothing is exported to ONNX; write the weights with minicnn.save, as safetensors, and "
        "export them where PyTorch is"),
    Gap("minicnn", "export package nativert classes import_ir_module*", _PLAIN + "write the weights with minicnn.save"),
    Gap("minicnn", "library", "write an operation of your own as a minicnn.autograd.Function"),
    Gap("*", "overrides handle_torch_function has_torch_function* DisableTorchFunction*",
        "functions cannot be overridden here: there is no __torch_function__; leave the call out"),
    Gap("minicnn", "masked", "there are no masked tensors; use minicnn.where, x.masked_fill(...) or x[mask]"),
    Gap("minicnn", "ModuleDict ParameterDict BufferDict", "use minicnn.nn.ModuleDict or minicnn.nn.ParameterDict"),
    Gap("minicnn", "get_autocast_* set_autocast_* is_autocast_*_enabled autocast_*_nesting clear_autocast_cache",
        _MIXED),
    Gap("amp", "autocast_mode grad_scaler custom_bwd custom_fwd is_autocast_available", _MIXED),
    Gap("minicnn", "get_deterministic_debug_mode set_deterministic_debug_mode is_deterministic_algorithms_*",
        "minicnn is deterministic in any case; minicnn.use_deterministic_algorithms changes nothing"),
    Gap("minicnn", "is_warn_always_enabled set_warn_always", "use Python's warnings.simplefilter('always')"),
    Gap("minicnn", "init_num_threads", "operations run one after the other, each on "
        "minicnn.get_num_threads() threads"),
    Gap("minicnn random", "thread_safe_generator", "use minicnn.default_generator"),
    Gap("utils", "bundled_inputs debug_log file_baton hipify mkldnn model_dump module_tracker serialization "
        "show_pickle viz jit", _INSIDE),
    Gap("utils", "flop_counter", "minicnn.summary counts parameters; operations are not counted"),
    Gap("minicnn", "torch_version", "use minicnn.__version__"),
    Gap("minicnn", "has_openmp compiled_with_cxx11_abi USE_* PRIVATE_OPS cpp", _INSIDE),
    Gap("minicnn", "sym_* Sym*", "shapes are plain ints here: use int and Python's operators"),
    Gap("minicnn", "AcceleratorError", "use RuntimeError, of which minicnn.OutOfMemoryError is a kind"),
    Gap("minicnn", "Stream Event StreamObjType DeviceObjType", "use minicnn.cuda.Stream and minicnn.cuda.Event"),
    Gap("minicnn", "fork wait Future*", _PLAIN + "use Python's concurrent.futures"),
    Gap("minicnn", "*Type AVG SUM AliasDb Argument ArgumentSpec BenchmarkConfig BenchmarkExecutionStats Block "
        "CallStack Capsule Code CompilationUnit CompleteArgumentSpec ConcreteModuleTypeBuilder DeepCopyMemoTable "
        "DispatchKey* ErrorReport ExcludeDispatchKeyGuard ExecutionPlan FatalError FileCheck FunctionSchema "
        "Gradient Graph GraphExecutorState IODescriptor JITException LiteScriptModule LockingLogger LoggerBase "
        "Node NoopLogger OperatorInfo PyTorchFile* Script* StaticModule Tag ThroughputBenchmark TracingState Type "
        "Use Value classproperty get_file_path merge_type_from_type_comment parse_ir parse_schema "
        "parse_type_comment unify_type_list", _INSIDE),
    Gap("jit", "load", "use minicnn.load for a state dict, and build the module in Python"),
    Gap("jit", "fork wait Future", _PLAIN + "use Python's concurrent.futures"),
    Gap("jit", "isinstance", "use Python's isinstance"),
    Gap("jit", "Attribute CompilationUnit Error ScriptFunction ScriptWarning *TracedModule RecursiveScript* Tracer* "
        "TracingCheckError *fusion* freeze frontend fuser export_opnames *flatbuffer last_executed_optimized_graph "
        "optimize* run_frozen_optimizations script_if_tracing script_method set_module trace_module", _SCRIPT),
    Gap("fx", "CodeGen PH ProxyableClassMeta config graph graph_module immutable_collections interpreter "
        "operator_schemas proxy tensor_type traceback symbolic_trace Tracer Graph GraphModule Interpreter "
        "Transformer Node Proxy replace_pattern has_side_effect map_arg subgraph_rewriter passes experimental node",
        _PLAIN + "there is no tracing; module.named_modules() and hooks look into it"),
    Gap("hub", "help list set_dir DEFAULT_CACHE_DIR ENV_* *Error MAP_LOCATION MODULE_HUBCONF READ_DATA_CHUNK Request "
        "VAR_DEPENDENCY urlopen", "repositories are not fetched and run; minicnn.hub.load_state_dict_from_url reads "
        "weights, minicnn.models has nets"),
    Gap("testing", "assert_allclose", "use minicnn.testing.assert_close"),
    Gap("testing", "make_tensor", "use minicnn.rand, minicnn.randn or minicnn.randint"),
    Gap("testing", "FileCheck", _INSIDE),
    Gap("backends", "cpu cusparselt kleidiai m mha miopen mkl nnpack openmp opt_einsum python_native "
        "quantized xeon xnnpack", "the switches here are minicnn.backends.cuda, cudnn, mkldnn and mps, and change "
        "nothing; minicnn.use chooses the kernels"),
    # ------------------------------------------------------------------------------------------------------------- CUDA
    Gap("cuda", "FloatTensor DoubleTensor HalfTensor IntTensor LongTensor ShortTensor CharTensor ByteTensor "
        "BoolTensor", "make a minicnn.{name} and move it with x.cuda(), or pass device='cuda' to minicnn.zeros"),
    Gap("cuda", "default_generators", "one stream serves all devices: minicnn.default_generator"),
    Gap("cuda", "StreamContext", "use minicnn.cuda.stream"),
    Gap("cuda", "ExternalStream get_stream_from_external", "minicnn.cuda.Stream.of makes a stream from one of CuPy"),
    Gap("cuda", "max_memory_cached memory_cached reset_max_memory_cached reset_max_memory_allocated", "use "
        "minicnn.cuda.max_memory_reserved, minicnn.cuda.memory_reserved and minicnn.cuda.reset_peak_memory_stats"),
    Gap("cuda", "memory_snapshot memory_stats* device_memory_used memory_usage host_memory_* "
        "reset_accumulated_*memory_stats reset_peak_host_memory_stats", "CuPy's pool knows little about itself: "
        "minicnn.cuda.memory_summary shows it, and minicnn.cuda.mem_get_info what is free"),
    Gap("cuda", "*_per_process_memory_fraction MemPool use_mem_pool caching_allocator_* CUDAPluggableAllocator "
        "change_current_allocator get_allocator_backend", "CuPy allocates: "
        "cupy.get_default_memory_pool().set_limit(fraction=...) limits it, cupy.cuda.set_allocator replaces it"),
    Gap("cuda", "*CudaError DeferredCudaCallError AcceleratorError", "use RuntimeError, of which "
        "minicnn.cuda.OutOfMemoryError is a kind"),
    Gap("cuda", "CUDAGraph graph graphs graph_pool_handle make_graphed_callables is_current_stream_capturing",
        "there are no graphs; each call starts its own work"),
    Gap("cuda", "utilization temperature power_draw clock_rate list_gpu_processes", "use the program nvidia-smi"),
    Gap("cuda", "get_arch_list get_gencode_flags", "kernels are compiled for the GPU that runs them, "
        "minicnn.cuda.get_device_capability"),
    Gap("cuda", "is_tf32_supported", "products are in float32; CuPy's variable CUPY_TF32=1 allows TF32"),
    Gap("cuda", "nccl", _ONE + "there is nothing to exchange between GPUs"),
    Gap("cuda", "DEVICE_REQUIREMENT Device GreenContext PYTORCH_RELEASES_CODE_CC check_error classproperty cudaStatus "
        "cudart current_blas_handle current_solver_handle gds get_sync_debug_mode set_sync_debug_mode green_contexts "
        "has_half has_magma jiterator nvtx profiler sparse tunable", _CUPY),
]  # fmt: skip
