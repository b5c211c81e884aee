"""What Django's ORM and Django REST framework do by name: counts against the statements of the driver and the program's own."""

from __future__ import annotations

import pytest
from support.engines import ENGINES

from .conftest import Compared

EACH_ENGINE = pytest.mark.parametrize("engine", ENGINES)

SHOP = """
    import asyncio, logging, sys, types, warnings
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    import django
    from django.conf import settings
    settings.configure(
        SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF="urls", USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}, INSTALLED_APPS=[INSTALLED],
        REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": [], "UNAUTHENTICATED_USER": None, "DEFAULT_PAGINATION_CLASS":
            "rest_framework.pagination.PageNumberPagination", "PAGE_SIZE": 4,
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]},
    )
    django.setup()
    from django.db import connection, models

    class Customer(models.Model):
        name = models.CharField(max_length=80)
        class Meta: app_label = "shop"
    class Order(models.Model):
        customer = models.ForeignKey(Customer, models.CASCADE, related_name="orders")
        card = models.CharField(max_length=80)
        class Meta: app_label = "shop"
    with connection.schema_editor() as editor:
        editor.create_model(Customer)
        editor.create_model(Order)
"""
ORM = """
    customers = Customer.objects.bulk_create([Customer(name=SECRET + str(number)) for number in range(8)])
    customers = list(Customer.objects.order_by("pk"))
    for customer in customers: Order(customer=customer, card=SECRET).save()
    found = Order.objects.filter(card=SECRET)
    print(len(found), len(found), found.count(), found.exists(), bool(found))
    print(Order.objects.count(), Order.objects.filter(card=SECRET).exists(), Order.objects.filter(card="x").exists())
    print([order.customer.name == SECRET for order in Order.objects.all()])
    print(len(list(Customer.objects.prefetch_related("orders"))), len([*Order.objects.iterator()]))
    print(Order.objects.aggregate(models.Max("pk")), Order.objects.filter(pk=1).update(card=SECRET), Order.objects.get(pk=2).pk)
    async def count(): return [order.pk async for order in Order.objects.all()], await Order.objects.acount()
    print(Order.objects.create(customer=customers[0], card=SECRET).delete()[0])
"""


@EACH_ENGINE
def test_what_the_orm_does_is_told_by_model(engine: str, compared: Compared) -> None:
    """Each fetch once, what is there already never; statements are the driver's, as many as without the pack."""
    text = SHOP.replace("INSTALLED]", "]") + ORM
    env = {"HOOKMON_ENGINE": engine}
    under = compared(text, needs=["django"], env=env, packs=["django_orm", "sqlite3"])
    assert under.calls("hook") == {
        "bulk_create Customer": 1,
        "load Customer": 1 + 8 + 1,
        "load Order": 1 + 1 + 1 + 1 + 1,
        "save Order": 8 + 1,
        "count Order": 1,
        "exists Order": 2,
        "lazy load Order.customer": 8,
        "prefetch orders": 1,
        "aggregate Order": 1,
        "update Order": 1,
        "delete Order": 1,
    }
    assert under.errors("hook") == {}
    plain = compared(text, needs=["django"], env=env, packs=["sqlite3"])
    assert plain.calls("sql") == under.calls("sql")
    assert plain.calls("hook") == {}
    lazily = next(name for name in under.calls("sql") if name.startswith("SELECT") and "LIMIT" in name and "customer" in name)
    assert under.calls("sql")[lazily] == under.calls("hook")["lazy load Order.customer"]


REST = """
    from rest_framework import serializers, views, viewsets, permissions, exceptions
    from rest_framework.routers import SimpleRouter
    from rest_framework.test import APIClient

    class CustomerSerializer(serializers.ModelSerializer):
        class Meta: model, fields = Customer, ["name"]
    class OrderSerializer(serializers.ModelSerializer):
        customer = CustomerSerializer(read_only=True)
        class Meta: model, fields = Order, ["pk", "card", "customer"]
    class Refusing(permissions.BasePermission):
        def has_permission(self, request, view): return "refused" not in request.query_params
    class OrderViewSet(viewsets.ModelViewSet):
        queryset, serializer_class, permission_classes = Order.objects.order_by("pk"), OrderSerializer, [Refusing]
        def perform_create(self, serializer): serializer.save(customer=customers[0])
    router = SimpleRouter()
    router.register("orders", OrderViewSet)
    urls = types.ModuleType("urls")
    urls.urlpatterns = router.urls
    sys.modules["urls"] = urls
    customers = Customer.objects.bulk_create([Customer(name=SECRET) for number in range(8)])
    customers = list(Customer.objects.order_by("pk"))
    for customer in customers: Order(customer=customer, card=SECRET).save()
    client = APIClient()
    headers = {"HTTP_AUTHORIZATION": SECRET}
    print([client.get("/orders/", {"key": SECRET}, **headers).status_code for _ in range(5)])
    print([client.post("/orders/", {"card": SECRET}, **headers).status_code for _ in range(3)])
    print([client.post("/orders/", {"x": SECRET}, **headers).status_code for _ in range(6)])
    print([client.get("/orders/1/").status_code, client.get("/orders/999/").status_code])
    print([client.get("/orders/?refused=1").status_code for _ in range(6)])
"""


@EACH_ENGINE
def test_views_of_the_rest_framework_are_told_by_what_they_do(engine: str, compared: Compared) -> None:
    """As many as the client has asked; mistakes of the client are no errors; a saved N + 1 counts what the ORM does around it."""
    packs = ["django", "django_orm", "rest_framework", "sqlite3"]
    text = SHOP.replace("INSTALLED]", '"rest_framework"]') + REST
    under = compared(text, needs=["django", "rest_framework"], env={"HOOKMON_ENGINE": engine}, packs=packs)
    listed, asked = "GET /orders/", 5 + 3 + 6 + 2 + 6
    assert under.transactions == {listed: 5 + 6, "POST /orders/": 3 + 6, "GET /orders/<pk>/": 2}
    calls = under.calls("function")
    assert {name: count for name, count in calls.items() if not name.startswith("view ")} == {
        "checks of OrderViewSet": asked,
        "serialize OrderSerializer": 5 + 3 + 1,
        "validate OrderSerializer": 3 + 6,
        "page of OrderViewSet": 5,
    }
    assert under.errors() == {}
    assert under.calls("template") == {"render json": asked}
    assert under.calls_in(listed)["lazy load Order.customer"] == 5 * 4
