"""The settings of a small site; old dependencies, on purpose."""

ALLOWED_HOSTS = ["www.example.org"]
ROOT_URLCONF = "site"
urlpatterns = []
