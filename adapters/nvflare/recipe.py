"""NVFLARE's FedAvg recipe for PyTorch, guarded: the same arguments, and a point."""

from collections.abc import Sequence
from typing import Any

from nvflare.app_common.workflows.fedavg import FedAvg
from nvflare.app_opt.pt.recipes.fedavg import FedAvgRecipe

from adapters.nvflare.controller import GuardedFedAvg
from adapters.nvflare.point import GuardPoint, TrustedData
from adapters.nvflare.release import ReleaseFilter
from adapters.nvflare.site import MemberFilter

GUARD_ID = "guard"
TRUSTED_ID = "trusted"
TRAIN = "train"
_ELSEWHERE = ("validate", "submit_model")


class GuardedFedAvgRecipe(FedAvgRecipe):  # type: ignore[misc] # nvflare is read without its types
    """Put it in the place of ``FedAvgRecipe``; training scripts stay as they are.

    Filters of your own are added before `finalize`, which adds ours as the last.

    Args:
        point: the job's enforcement point.
        trusted: component of the server that has a `TrustedData.reference`; none compares updates with one another.
        member_folder: of the enrolled device at each site, as `MemberFilter` takes it.
        installed: packages that every site has, whose code is not sent along with the job.
        recipe: arguments of ``FedAvgRecipe``.
    """

    def __init__(
        self,
        *,
        point: GuardPoint,
        trusted: TrustedData | None = None,
        member_folder: str = "local/identity",
        installed: Sequence[str] = ("adapters", "controlplane"),
        **recipe: Any,
    ) -> None:
        super().__init__(**recipe)
        self._member_folder = member_folder
        self._is_guarded = False
        self._job.set_app_packages(list(installed))
        self._job.to_server(point, id=GUARD_ID)
        if trusted is not None:
            point.reference_id = TRUSTED_ID
            self._job.to_server(trusted, id=TRUSTED_ID)

    def finalize(self) -> None:
        """Add the filters, after all that were added before."""
        super().finalize()
        if not self._is_guarded:
            self._is_guarded = True
            self.add_server_output_filter(ReleaseFilter(GUARD_ID), tasks=[TRAIN, *_ELSEWHERE])
            self.add_client_output_filter(MemberFilter(self._member_folder), tasks=[TRAIN])

    def _create_controller(self, persistor_id: str, model_params: Any, model_aggregator: Any) -> FedAvg:
        return GuardedFedAvg(
            guard_id=GUARD_ID,
            num_clients=self.min_clients,
            num_rounds=self.num_rounds,
            persistor_id=persistor_id,
            model=model_params,
            save_filename=self.save_filename,
            aggregator=model_aggregator,
            stop_cond=self.stop_cond,
            patience=self.patience,
            task_name=TRAIN,
            exclude_vars=self.exclude_vars,
            aggregation_weights=self.aggregation_weights,
            memory_gc_rounds=self.server_memory_gc_rounds,
            enable_tensor_disk_offload=self.enable_tensor_disk_offload,
            **self._get_controller_kwargs(),
        )
