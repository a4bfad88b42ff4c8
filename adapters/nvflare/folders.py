"""Where a site keeps its key: one setting of a job that is the same at every site."""

from pathlib import Path

from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext


def own_folder(setting: str, fl_ctx: FLContext) -> Path:
    """Return the folder that a setting names at this site.

    Args:
        setting: ``{site}`` in it is this site's name; what is not absolute begins at the site's workspace.
        fl_ctx: of the site.
    """
    workspace = fl_ctx.get_prop(FLContextKey.WORKSPACE_OBJECT) or fl_ctx.get_workspace()
    return Path(workspace.get_root_dir()) / setting.replace("{site}", str(fl_ctx.get_identity_name()))
