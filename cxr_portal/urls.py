"""The addresses of the portal."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.templatetags.static import static
from django.urls import include, path
from django.utils.functional import lazy
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from cxr_portal.health import healthz

admin.autodiscover()
# One login for all, with its rate limits: the admin site's own form has none.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

api_page = SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="api_docs.html")

# Browsers ask for it by this name on pages that name no icon, such as the admin's.
favicon = RedirectView.as_view(url=lazy(static, str)("favicon.svg"))

urlpatterns = [
    path("favicon.ico", login_not_required(favicon), name="favicon"),
    path("healthz", healthz, name="healthz"),
    path("accounts/", include("allauth.account.urls")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("diagnosis.api.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("dicom-web/", include("diagnosis.dicomweb.urls")),
    path("api/docs/", login_not_required(api_page), name="api_docs"),
    path("", include("diagnosis.web.urls")),
]

handler400 = "diagnosis.web.errors.bad_request"
handler403 = "diagnosis.web.errors.permission_denied"
handler404 = "diagnosis.web.errors.page_not_found"
handler500 = "diagnosis.web.errors.server_error"
